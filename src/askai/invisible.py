"""Characters that cannot be seen, that reorder their neighbours, or that a page cannot hold."""

from __future__ import annotations

import re

# Variation selectors stay: emoji and rare Han characters need them. Tab and newline stay as they are.
ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_JOINER = "\u200d"


def joins(match: re.Match[str]) -> bool:
    """Whether a joiner does its proper work: inside an emoji, or in a script that joins letters."""
    before = match.string[match.start() - 1] if match.start() else ""
    if match.group() not in (_JOINER, "\u200c") or not before:
        return False
    if "\u0600" <= before < "\u1200":
        return True
    emoji = before >= "\U0001f000" or "\u2190" <= before < "\u2c00" or before == "\ufe0f"
    return emoji and match.group() == _JOINER


def without_odd(text: str) -> str:
    """Text without characters that cannot be seen, but for joiners that do their work."""
    return ODD.sub(lambda match: match.group() if joins(match) else "", text)
