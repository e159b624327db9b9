"""What a browser tab had on its page, kept in memory so that a reload brings it back."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from askai.types import Mode
from askai.ui.render import Turn

VISITS = 300
"""Tabs that are remembered; the one that was quiet longest goes first."""

_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Visit:
    """The conversation of a tab, oldest turn first, and the mode that was chosen in it."""

    turns: tuple[Turn, ...] = ()
    mode: Mode = Mode.BALANCED


class Visits:
    """Visits by the name that a tab made up for itself: 128 random bits, which nobody else can guess."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Visit] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, name: str, visit: Visit) -> None:
        """Remember a visit; one without a proper name is not."""
        if not known(name):
            return
        with self._lock:
            self._kept[name] = visit
            self._kept.move_to_end(name)
            while len(self._kept) > VISITS:
                self._kept.popitem(last=False)

    def of(self, name: str) -> Visit:
        """What was kept of a visit; an empty one where nothing was."""
        with self._lock:
            return self._kept.get(name, Visit())


def known(name: object) -> bool:
    """Whether this is a name such as a tab makes up."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
