"""Keeping segments few: small ones are written together, the large one only when it has to be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from askai import segments
from askai.generations import Use, damaged, faults, seal
from askai.segments import Entry
from askai.writing import SEGMENTS, failing, temporary

SHARE = 0.2
"""The large segment is written anew when the small ones, or what it has lost, exceed this share of it."""
_FAN_OUT = 4
Held = tuple[Use, Sequence[Entry]]


def live_passages(use: Use, catalogue: Sequence[Entry]) -> int:
    """Passages of a segment whose articles are in force."""
    return use.passages - sum(catalogue[number].passages for number in use.removed)


def to_fold(live: Sequence[int], dead: Sequence[int]) -> list[int]:
    """Which segments to write as one, given passages in force and removed of each; none or several.

    All of them where the small ones or the removed passages exceed a fifth of the largest. Else, of
    the small ones, those up to a size of which there are four: each passage is written a few times
    over, however many changes there are.
    """
    if not live:
        return []
    base = max(range(len(live)), key=lambda n: live[n] + dead[n])
    if dead[base] > SHARE * (live[base] + dead[base]) or sum(live) - live[base] > SHARE * live[base]:
        return list(range(len(live))) if len(live) > 1 or dead[base] else []
    level = {n: int(math.log(max(1, live[n]), _FAN_OUT)) for n in range(len(live)) if n != base}
    full = [lv for lv, times in Counter(level.values()).items() if times >= _FAN_OUT]
    return [n for n, lv in level.items() if lv <= max(full)] if full else []


def folded(folder: Path, held: Sequence[Held], dimensions: int) -> list[Held]:
    """The segments of a new generation: empty ones left out, the others written together where due.

    Raises ``IndexDamaged`` where one that is to be read is damaged, ``AskaiError`` where writing fails.
    """
    held = [one for one in held if live_passages(*one) or len(one[0].removed) < one[0].articles]
    live = [live_passages(*one) for one in held]
    due = to_fold(live, [use.passages - n for (use, _), n in zip(held, live, strict=True)])
    if not due:
        return list(held)
    rest = [one for n, one in enumerate(held) if n not in due]
    return [*rest, _written_together(folder, [held[n] for n in due], dimensions)]


def _written_together(folder: Path, held: Sequence[Held], dimensions: int) -> Held:
    homes = [folder / SEGMENTS / use.name for use, _ in held]
    for home, (use, _) in zip(homes, held, strict=True):
        # What is copied gets a new checksum: damage must be seen now or never.
        wrong = faults(home, use.files)
        if wrong:
            raise damaged(home, wrong[0])
    with failing(folder):
        written = temporary(folder)
        try:
            segments.merge(
                [(home, use.removed) for home, (use, _) in zip(homes, held, strict=True)], written, dimensions
            )
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(homes[0], error) from error
        return sealed(folder, written)


def sealed(folder: Path, written: Path) -> Held:
    """A segment that was just written, under its name. Raises ``OSError``."""
    catalogue = segments.read_catalogue(written)
    name, files = seal(folder, written)
    passages = sum(entry.passages for entry in catalogue)
    return Use(name, len(catalogue), passages, frozenset(), files), catalogue
