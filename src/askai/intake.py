"""Files and texts that people bring become files of the corpus: safe names, nothing overwritten."""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path

from askai.corpus import SUFFIXES, UNSUPPORTED
from askai.errors import ArticleError, InputError
from askai.invisible import without_odd
from askai.writing import sync

NAME_BYTES = 255
INCOMING = ".incoming-"
_ROOM = 8
_FORBIDDEN = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\.|$)", re.IGNORECASE)


def safe_name(name: str) -> str:
    """A file name that every system takes, made from what somebody sent.

    Folders, ``..``, drive letters, control and invisible characters go; a leading dot goes, since
    hidden files are not read; a name that Windows reserves gets an underscore; at most 255 bytes,
    with room for a number. Raises ``ArticleError`` for a suffix that is not read.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, ending = _cleaned(last).rpartition(".")
    suffix = (dot + ending).lower()
    if suffix not in SUFFIXES:
        raise ArticleError(UNSUPPORTED)
    return _whole(stem, NAME_BYTES - _ROOM - len(suffix)) + suffix


def safe_folder(name: str) -> str:
    """The same for the name of a folder."""
    return _whole(_cleaned(unicodedata.normalize("NFC", name)), NAME_BYTES - _ROOM)


def _cleaned(name: str) -> str:
    return _FORBIDDEN.sub("_", without_odd(name)).encode("utf-8", "ignore").decode("utf-8").strip()


def _whole(stem: str, room: int) -> str:
    stem = stem.strip(" .") or "文章"
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(" .")


def place(folder: Path, name: str, data: bytes, new: list[Path]) -> Path:
    """Put bytes as a file below ``folder``; returns its path.

    Another file of that name is kept and a number added; one with the same content is left as it is.
    The file appears whole or not at all, and stands in ``new`` before it does, so that whoever is
    interrupted can take it away again. Raises ``InputError`` where the folder cannot be written.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    whole = folder / f"{INCOMING}{os.getpid()}-{os.urandom(6).hex()}"  # hidden: never read as an article
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
            if path.is_file() and not path.is_symlink() and _holds(path, data):
                return path
            if os.path.lexists(path):
                continue
            if not whole.exists():
                _write(whole, data)
            new.append(path)
            with suppress(FileExistsError):
                _appear(whole, path)
                return path
            new.pop()
    except OSError as error:
        raise InputError(
            f"无法写入文章文件夹 {folder}（{error.strerror}）。请检查它是不是文件夹、有没有写权限和空间。"
        ) from error
    finally:
        with suppress(OSError):
            whole.unlink(missing_ok=True)
    raise InputError(f"同名文件太多：{name}。请改名后再试。")


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as out:
        out.write(data)
    sync(path)


def _appear(whole: Path, path: Path) -> None:
    """Give a written file its name. Raises ``FileExistsError`` where that is taken."""
    try:
        path.hardlink_to(whole)
        linked = True
    except FileExistsError:
        raise
    except OSError:
        # No hard links here: hold the name with an empty file, then put the whole one in its place.
        path.open("xb").close()
        linked = False
    try:
        if not linked:
            whole.replace(path)
        sync(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _holds(path: Path, data: bytes) -> bool:
    """Whether a file's content is this; one that cannot be read is another one."""
    with suppress(OSError):
        return path.stat().st_size == len(data) and path.read_bytes() == data
    return False
