"""Reads files in a child process: one that hangs, crashes or eats memory costs a child, not askai."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import askai
from askai.errors import ArticleError, AskaiError
from askai.formats.contents import Contents, Source
from askai.formats.kinds import ZIP, Kind
from askai.formats.protocol import LARGEST_REPLY, read_frame, to_contents, to_json, write_frame
from askai.types import Article, Failure

SECONDS = 30
MEMORY = 1_500_000_000
ARCHIVE_SECONDS = 900
_START_S = 120
_FILES_PER_CHILD = 500
_TROUBLES = 5

_CRASHED = "读取时解析程序出错退出，文件可能已损坏。请用原来的程序打开、另存后再试。"
_MEMORY = "读取所需的内存超过上限，已停止。请拆成几份后再试。"


class _Trouble(Exception):
    """The child is of no more use; ``str`` is the reason in Chinese."""


class Extractor:
    """Hands files to a child that is started with the first one and used again for the next.

    ``seconds`` is the time for each file, or each member of an archive; ``memory`` the bytes that
    the child may take. Calls from several threads wait for each other.
    """

    def __init__(self, seconds: int = SECONDS, memory: int = MEMORY) -> None:
        self._seconds = seconds
        self._memory = memory
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._served = 0
        self._timed_out = False
        self._deadline = 0.0

    def read(self, kind: Kind, data: bytes, source: Source) -> Contents:
        """The articles of a file. Raises ``ArticleError`` where it cannot be read, or not in time."""
        with self._lock:
            return self._archive(data, source) if kind is ZIP else self._file(kind, data, source)

    def close(self) -> None:
        """End the child; the next file starts another."""
        with self._lock:
            self._stop()

    def _file(self, kind: Kind, data: bytes, source: Source) -> Contents:
        for _ in range(2):
            try:
                contents = Contents()
                with closing(self._ask(kind, data, source, 0)) as messages:
                    for message in messages:
                        if "articles" in message:
                            contents = _believed(message)
                return contents
            except _Trouble as trouble:
                # What earlier files left in the child's memory is not this one's fault.
                if self._served == 1 or self._timed_out:
                    raise ArticleError(str(trouble)) from trouble
        raise ArticleError(_CRASHED)

    def _archive(self, data: bytes, source: Source) -> Contents:
        """A member that ends the child is listed as failed; the ones after it go to the next child."""
        articles: list[Article] = []
        failures: list[Failure] = []
        begun, path, troubles = time.monotonic(), "", 0
        done = 0
        while True:
            try:
                with closing(self._ask(ZIP, data, source, done)) as messages:
                    for message in messages:
                        path = message.get("begin", path)
                        if "articles" not in message:
                            continue
                        contents = _believed(message)
                        articles += contents.articles
                        failures += contents.failures
                        done += 1
                        if time.monotonic() - begun > ARCHIVE_SECONDS:
                            raise _Trouble("")
                return Contents(tuple(articles), tuple(failures))
            except _Trouble as trouble:
                if not path:
                    raise ArticleError(str(trouble)) from trouble
                if str(trouble):
                    failures.append(Failure(path, str(trouble)))
                troubles, done = troubles + 1, done + 1
            if troubles >= _TROUBLES or time.monotonic() - begun > ARCHIVE_SECONDS:
                reason = "压缩包里读不了的文件太多，或读得太久，其余没有读。请拆成几份后再试。"
                failures.append(Failure(source.path, reason))
                return Contents(tuple(articles), tuple(failures))

    def _ask(self, kind: Kind, data: bytes, source: Source, start: int) -> Generator[dict[str, Any], None, None]:
        """The child's messages about one file. Raises ``ArticleError`` or ``_Trouble``."""
        finished = False
        try:
            child = self._running()
            request = {"kind": kind.name, "start": start, **asdict(source)}
            with self._watched(child, self._seconds):
                with suppress(OSError):  # a child that is gone is told from its missing answer
                    write_frame(_pipe(child.stdin), to_json(request))
                    write_frame(_pipe(child.stdin), data)
                while "end" not in (message := self._message(child, self._seconds)):
                    if "refused" in message:
                        finished = True
                        raise ArticleError(str(message["refused"]))
                    if "memory" in message:
                        raise _Trouble(_MEMORY)
                    yield message
            worn = message.get("worn") or self._served >= _FILES_PER_CHILD
            finished = not worn and not self._timed_out
        finally:
            # Whatever interrupts us leaves answers in the pipe that belong to no later question.
            if not finished:
                self._stop()

    def _message(self, child: subprocess.Popen[bytes], seconds: int) -> dict[str, Any]:
        self._deadline = time.monotonic() + seconds
        frame = read_frame(_pipe(child.stdout), LARGEST_REPLY)
        if self._timed_out:
            raise _Trouble(f"读了 {seconds} 秒还没读完，已停止。文件可能已损坏，或过于复杂。请拆开或另存后再试。")
        try:
            message = json.loads(frame or b"null")
        except ValueError as error:
            raise _Trouble(_CRASHED) from error
        if not isinstance(message, dict):
            raise _Trouble(_CRASHED)
        return message

    @contextmanager
    def _watched(self, child: subprocess.Popen[bytes], seconds: int) -> Iterator[None]:
        """End the child once the deadline is past, which each message moves: its pipes then end too."""
        self._deadline = time.monotonic() + seconds
        done = threading.Event()

        def watch() -> None:
            while (left := self._deadline - time.monotonic()) > 0:
                if done.wait(left):
                    return
            self._timed_out = True
            child.kill()

        watcher = threading.Thread(target=watch, name="askai-extractor", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()  # so that it cannot end the child while the next file is read

    def _running(self) -> subprocess.Popen[bytes]:
        self._timed_out = False
        self._served += 1
        if self._child is not None and self._owner == os.getpid() and self._child.poll() is None:
            return self._child
        self._stop()
        self._child, self._owner, self._served = self._started(), os.getpid(), 1
        with self._watched(self._child, _START_S):
            if "ready" not in self._message(self._child, _START_S):
                raise _Trouble(_CRASHED)
        return self._child

    def _started(self) -> subprocess.Popen[bytes]:
        # The child must find this very askai, wherever it was imported from.
        home = str(Path(askai.__file__).parent.parent)
        path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-P", "-W", "ignore", "-m", "askai.formats.worker"]
        try:
            return subprocess.Popen(  # noqa: S603
                [*command, str(self._memory), str(self._seconds)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise AskaiError(f"无法启动读取文件的子进程（{error.strerror}）。请检查内存和进程数上限后再试。") from error

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                _pipe(pipe).close()
        child.wait()


def _pipe(pipe: Any) -> Any:
    assert pipe is not None, "both pipes are asked for"
    return pipe


def _believed(message: dict[str, Any]) -> Contents:
    try:
        return to_contents(message)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _Trouble(_CRASHED) from error


@cache
def default_extractor() -> Extractor:
    """The extractor that all of a process share; its child ends with the process."""
    extractor = Extractor()
    atexit.register(extractor.close)
    return extractor
