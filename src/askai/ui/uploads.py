"""Texts that people bring through the page become files of the corpus: safe names, nothing overwritten."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from askai.corpus import SUFFIXES, UNSUPPORTED, read_data
from askai.errors import ArticleError, InputError
from askai.types import Failure
from askai.ui.markup import plain

NAME_BYTES = 255
_ROOM = 8
_FORBIDDEN = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\.|$)", re.IGNORECASE)


def safe_name(name: str) -> str:
    """A file name that every system takes, made from what a browser sent.

    Folders, ``..``, drive letters, control and invisible characters go; a leading dot goes, since
    hidden files are not read; a name that Windows reserves gets an underscore; at most 255 bytes,
    with room for a number. Raises ``ArticleError`` for a suffix that is not read.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    cleaned = _FORBIDDEN.sub("_", re.sub(r"⟨U\+[0-9A-F]+⟩", "", plain(last)))
    stem, dot, ending = cleaned.encode("utf-8", "ignore").decode("utf-8").strip().rpartition(".")
    suffix = (dot + ending).lower()
    if suffix not in SUFFIXES:
        raise ArticleError(UNSUPPORTED)
    stem = stem.strip(" .") or "文章"
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    room = NAME_BYTES - _ROOM - len(suffix)
    stem = stem.encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(" .")
    return stem + suffix


def store(corpus: Path, name: str, data: bytes) -> Path:
    """Write ``data`` below the corpus; another file of that name is kept and a number added.

    A file with the same name and content is left as it is. Raises ``ArticleError`` for one that
    could not be read back and ``InputError`` where the folder cannot be written.
    """
    name = safe_name(name)
    read_data(data, name, name)
    stem, suffix = Path(name).stem, Path(name).suffix
    try:
        corpus.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = corpus / (name if number == 1 else f"{stem}-{number}{suffix}")
            with suppress(FileExistsError):
                _write_new(path, data)
                return path
            if path.is_file() and path.read_bytes() == data:
                return path
    except OSError as error:
        raise InputError(
            f"无法写入文章文件夹 {corpus}（{error.strerror}）。请检查它是不是文件夹、有没有写权限和空间。"
        ) from error
    raise InputError(f"同名文件太多：{name}。请改名后再试。")


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet; a half-written one is taken away again."""
    with path.open("xb") as file:
        try:
            file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def store_files(corpus: Path, files: Sequence[Path]) -> tuple[list[Path], list[Failure]]:
    """Take uploaded files into the corpus; one that cannot be read does not stop the others."""
    stored: list[Path] = []
    failures: list[Failure] = []
    for file in files:
        try:
            stored.append(store(corpus, file.name, file.read_bytes()))
        except ArticleError as error:
            failures.append(Failure(file.name, str(error)))
        except OSError as error:
            failures.append(Failure(file.name, f"上传的文件读不出来（{error.strerror}）。请再传一次。"))
        finally:
            with suppress(OSError):
                file.unlink()
    return stored, failures


def store_text(corpus: Path, title: str, text: str) -> Path:
    """Take a pasted text into the corpus as Markdown with its title in front matter."""
    if not text.strip():
        raise InputError("没有正文。请先粘贴文章内容。")
    title = re.sub(r"\s+", " ", title).strip() or text.strip().split("\n", 1)[0].strip()[:40]
    title = title.encode("utf-8", "ignore").decode("utf-8")[:200]
    today = datetime.now().astimezone().date()
    head = f"---\ntitle: {json.dumps(title, ensure_ascii=False)}\ndate: {today}\nsource: 在页面上粘贴\n---\n\n"
    name = title.replace("/", "_").replace("\\", "_").replace(".", "_")
    return store(corpus, f"{name}.md", (head + text.strip() + "\n").encode("utf-8", "ignore"))
