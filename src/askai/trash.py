"""Where removed files go: ``.trash`` in the corpus, with a note of where they came from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from askai.segments import to_json
from askai.writing import sync

FOLDER = ".trash"
NOTE = "removed.json"


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that was moved away: its place below the corpus, its name in the trash, its id."""

    place: str
    name: str
    id: str


def throw(corpus: Path, places: Sequence[tuple[str, str]]) -> Path:
    """Move files (place below the corpus, id) into a new folder of the trash, which is returned.

    The note is on disk before the first file moves. Raises ``OSError``; what was moved by then can be
    put back with ``put_back``.
    """
    home = corpus / FOLDER / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")
    home.mkdir(parents=True)
    moved = [Moved(place, f"{n}{Path(place).suffix}", id) for n, (place, id) in enumerate(places)]
    note = home / NOTE
    note.write_bytes(to_json([[m.place, m.name, m.id] for m in moved]))
    for path in (note, home, home.parent, corpus):
        sync(path)
    for m in moved:
        with suppress(FileNotFoundError):
            (corpus / m.place).rename(home / m.name)
    sync(home)
    return home


def _notes(corpus: Path) -> Iterator[tuple[Path, list[Moved]]]:
    """The folders of the trash that still hold files, newest first."""
    for home in sorted((corpus / FOLDER).glob("*/"), reverse=True):
        try:
            rows = json.loads((home / NOTE).read_bytes())
            moved = [Moved(*map(str, row)) for row in rows]
        except (OSError, ValueError, TypeError):
            continue
        there = [m for m in moved if _sound(m) and (home / m.name).is_file()]
        if there:
            yield home, there


def _sound(moved: Moved) -> bool:
    """Whether a note leads nowhere but from the trash into the corpus."""
    place = Path(moved.place)
    inside = not place.is_absolute() and ".." not in place.parts
    return inside and Path(moved.name).name == moved.name


def latest(corpus: Path) -> Path | None:
    """The folder of the last removal; None where there is nothing to put back."""
    return next((home for home, _ in _notes(corpus)), None)


def emptied(corpus: Path) -> bool:
    """Whether files were removed from this folder: an empty one is then meant to be empty."""
    return latest(corpus) is not None


def put_back(corpus: Path, home: Path) -> list[tuple[Path, str]]:
    """Move the files of one removal back: their paths and ids. Raises ``OSError``.

    Where another file has taken the place, a number is added. The note stays until ``forget``.
    """
    restored: list[tuple[Path, str]] = []
    for m in next((there for found, there in _notes(corpus) if found == home), []):
        target = corpus / m.place
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while os.path.lexists(target):
            number += 1
            target = (corpus / m.place).with_stem(f"{Path(m.place).stem}-{number}")
        (home / m.name).rename(target)
        sync(target.parent)
        restored.append((target, m.id if number == 1 else ""))
    return restored


def forget(home: Path) -> None:
    """Take away the folder of a removal that was undone."""
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        home.parent.rmdir()
