"""One writer at a time: the lock, what killed writers left behind, and errors that name their cause."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from askai.errors import AskaiError, IndexBusy

SEGMENTS = "segments"
KEPT_GENERATIONS = 5


def mending(folder: Path) -> str:
    """The command that makes the index in ``folder`` anew."""
    return "askai build" if folder == Path("index") else f"askai build --index {folder}"


def generations(folder: Path) -> list[str]:
    """Names of the generations in the folder, oldest first."""
    found = (p for p in folder.glob("gen-*") if p.name[4:].isdecimal() and p.is_dir())
    return [p.name for p in sorted(found, key=lambda p: int(p.name[4:]))]


def _name_of(holder: Path) -> str:
    try:
        return holder.read_text("utf-8") or "未知进程"
    except (OSError, UnicodeDecodeError):
        return "未知进程"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the writer's lock; what earlier writers left half done is cleared away before and after.

    Raises ``IndexBusy`` with the holder's name where another process has the lock, ``AskaiError``
    where the folder cannot be written to.
    """
    holder = folder / "writer.txt"
    lock = FileLock(folder / "writer.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise IndexBusy(f"另一个进程正在写索引 {folder}（{_name_of(holder)}）。请等它结束后再试。") from error
    except OSError as error:
        raise AskaiError(
            f"无法写入索引文件夹 {folder}（{error.strerror or error}）。请检查路径、权限和磁盘空间后再试。"
        ) from error
    try:
        # The name is a courtesy to whoever is kept waiting: a full disk is reported by what follows.
        with suppress(OSError):
            holder.write_text(f"进程 {os.getpid()}，开始于 {time.strftime('%F %T')}", "utf-8")
        _tidy(folder)
        yield
    finally:
        _tidy(folder)
        with suppress(OSError):
            holder.unlink()
        lock.release()


def temporary(folder: Path) -> Path:
    """A new folder to write in, cleared away when the writer ends. Raises ``OSError``."""
    number = 0
    while (path := folder / f"tmp-{os.getpid()}-{number}").exists():
        number += 1
    path.mkdir()
    return path


def pointer(folder: Path) -> str:
    """What ``CURRENT`` says; empty where it cannot be read."""
    try:
        return (folder / "CURRENT").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _tidy(folder: Path) -> None:
    """Remove what was never finished, generations past their time, and segments that none uses."""
    for leftover in folder.glob("tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    serving = pointer(folder)
    for name in generations(folder)[:-KEPT_GENERATIONS]:
        if name != serving:
            shutil.rmtree(folder / name, ignore_errors=True)
    used: set[str] = set()
    for name in generations(folder):
        try:
            manifest = json.loads((folder / name / "manifest.json").read_bytes())
            used.update(str(use["name"]) for use in manifest.get("segments", ()))
        except FileNotFoundError:
            continue  # an empty folder uses nothing
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # which segments it needs cannot be known: remove none
    for segment in (folder / SEGMENTS).glob("seg-*"):
        if segment.name not in used:
            shutil.rmtree(segment, ignore_errors=True)


@contextmanager
def failing(folder: Path) -> Iterator[None]:
    """Name the cause where writing fails."""
    try:
        yield
    except OSError as error:
        raise AskaiError(
            f"写索引失败：{error.strerror or error}。原来的索引没有改动，仍可使用；"
            f"请检查磁盘空间和权限后重新运行 {mending(folder)}。"
        ) from error


def sync(path: Path) -> None:
    """Force a file or folder to disk; Windows has no such call for folders."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
