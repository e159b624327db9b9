"""The child: reads one file after the other from its standard input, until that is closed.

It opens no files of its own and answers on what was its standard output. Started by ``extractor``.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from askai.errors import ArticleError
from askai.formats.contents import Source
from askai.formats.dispatch import parts
from askai.formats.kinds import LARGEST
from askai.formats.protocol import from_contents, read_frame, to_json, write_frame

_GRACE_S = 15
_FILE_BYTES = 10_000_000  # Python writes down what it compiled
_WORN_BYTES = 500_000_000


def _limit(memory: int) -> None:
    """Bound what this process may take; where a system has no such limit, the time limit remains."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError):
        # Libraries map more than they use: the limit is on what comes on top.
        memory += int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, _FILE_BYTES), (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _is_worn() -> bool:
    """Whether this process has grown so far that another one should take its place."""
    # Not getrusage: a child is born with the peak of its parent there.
    try:
        resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return False
    return resident * os.sysconf("SC_PAGE_SIZE") > _WORN_BYTES


def _alarm(seconds: int) -> None:
    # Should askai be gone, nobody else would end a child that hangs. 0 takes the alarm back.
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _serve(request: bytes, data: bytes, seconds: int, out: BinaryIO) -> None:
    asked = json.loads(request)
    source = Source(asked["id"], asked["path"], asked["stem"])
    _alarm(seconds + _GRACE_S)
    try:
        for path, read in parts(asked["kind"], data, source, asked["start"]):
            _alarm(seconds + _GRACE_S)
            write_frame(out, to_json({"begin": path}))
            write_frame(out, to_json(from_contents(read())))
    except ArticleError as error:
        write_frame(out, to_json({"refused": str(error)}))
    except MemoryError:
        write_frame(out, to_json({"memory": True}))
        sys.exit(1)
    else:
        write_frame(out, to_json({"end": True, "worn": _is_worn()}))
    finally:
        _alarm(0)


def main(memory: int, seconds: int) -> None:
    """Serve until the other side closes the pipe."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides when to stop
    # A library that prints must not write into the frames.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    logging.disable(logging.CRITICAL)
    _limit(memory)
    write_frame(out, to_json({"ready": True}))
    while (request := read_frame(sys.stdin.buffer, LARGEST)) is not None:
        data = read_frame(sys.stdin.buffer, LARGEST)
        if data is None:
            return
        _serve(request, data, seconds, out)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
