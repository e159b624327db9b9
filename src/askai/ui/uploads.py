"""Texts that people bring through the page become files of the corpus: safe names, nothing overwritten."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from askai.corpus import read_data
from askai.errors import ArticleError, Cancelled, InputError
from askai.intake import place, safe_name
from askai.types import Failure, Progress

MOST = 1000
"""Files of one upload."""


def store(corpus: Path, name: str, data: bytes) -> Path:
    """Write ``data`` below the corpus; another file of that name is kept and a number added.

    A file with the same name and content is left as it is. Raises ``ArticleError`` for one that
    could not be read back and ``InputError`` where the folder cannot be written.
    """
    name = safe_name(name)
    read_data(data, name, name)
    return place(corpus, name, data, [])


def store_files(
    corpus: Path, files: Sequence[Path], progress: Progress | None = None
) -> tuple[list[Path], list[Failure]]:
    """Take uploaded files into the corpus; one that cannot be read does not stop the others.

    Where ``progress`` raises ``Cancelled``, what has been taken stays and the rest counts as failed.
    """
    stored: list[Path] = []
    failures: list[Failure] = []
    for number, file in enumerate(files):
        try:
            if number >= MOST:
                raise ArticleError(f"一次最多上传 {MOST:,} 个文件。请分几次上传，或放进文章文件夹后重建索引。")
            if progress:
                progress("检查上传的文件", number, len(files))
            stored.append(store(corpus, file.name, file.read_bytes()))
        except Cancelled:
            failures.append(Failure(file.name, "取消时还没有读到它。需要的话请再传一次。"))
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
