"""The one noun that the command line needs before anything is loaded; ``types`` has it too."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How sure an answer must be before it is given; the thresholds are in the calibration."""

    STRICT = "严格"
    BALANCED = "均衡"
    LENIENT = "宽松"
