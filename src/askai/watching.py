"""Following a folder: every change of its files becomes a change of the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from askai.corpus import existing, hidden
from askai.errors import AskaiError, IndexBusy
from askai.library import Library
from askai.sources import real_place, real_places
from askai.types import BuildReport

_SETTLED_MS = 800
_AGAIN_MS = 2000


def watch(
    library: Library,
    roots: Sequence[Path] | None,
    begun: Callable[[Sequence[Path]], object],
    changed: Callable[[BuildReport], object],
    trouble: Callable[[AskaiError], object],
    stop: Event | None = None,
) -> None:
    """Build now, and again whenever files have changed and lie still, until ``stop`` or Ctrl-C.

    What goes wrong is told to ``trouble`` and ends nothing; where another process is writing, the
    build is tried again; a folder or file that is replaced is watched anew. Raises ``InputError``
    where one is not there to begin with.
    """
    import watchfiles

    places = [existing(place) for place in library.places(roots)]
    ours = Path(real_place(library.index))

    def concerns(_: watchfiles.Change, name: str) -> bool:
        path = Path(real_place(Path(name)))
        if path == ours or path.is_relative_to(ours):
            return False
        below = (path.relative_to(p) for p in map(Path, real_places(places)) if path.is_relative_to(p))
        return not hidden(next(below, path))

    begun(places)
    due = not _built(library, places, changed, trouble)
    while not (stop and stop.is_set()):
        watched = _lying(places)
        for changes in watchfiles.watch(
            *places, watch_filter=concerns, debounce=_SETTLED_MS, step=100, stop_event=stop,
            rust_timeout=_AGAIN_MS, yield_on_timeout=True, raise_interrupt=True,
        ):  # fmt: skip
            if changes or due:
                due = not _built(library, places, changed, trouble)
            now = _lying(places)
            if not now or {real_place(Path(name)) for _, name in changes} & set(real_places(places)):
                watched = None  # gone; what comes in its place may even have its number
            if now and now != watched:
                due = True
                break


def _lying(places: Sequence[Path]) -> list[tuple[int, int]] | None:
    """What lies at the places now: watching follows it, not what takes its place. None where one is empty."""
    try:
        return [(found.st_dev, found.st_ino) for found in (place.stat() for place in places)]
    except OSError:
        return None


def _built(
    library: Library,
    places: Sequence[Path],
    changed: Callable[[BuildReport], object],
    trouble: Callable[[AskaiError], object],
) -> bool:
    """Build once; False where another process was writing and it has to be tried again."""
    try:
        report = library.build(places)
    except IndexBusy:
        return False
    except AskaiError as error:
        trouble(error)
    else:
        if report.added or report.changed or report.removed:
            changed(report)
    return True
