"""What passes between askai and its child: frames of bytes, and JSON in them. Never pickle."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from askai.formats.contents import Contents
from askai.types import Article, Failure

LARGEST_REPLY = 400_000_000


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write ``data`` with its length before it."""
    stream.write(len(data).to_bytes(8, "big"))
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO, most: int) -> bytes | None:
    """The next frame; None where the other side is gone, or sends one larger than ``most``."""
    head = stream.read(8)
    size = int.from_bytes(head, "big")
    if len(head) < 8 or size > most:
        return None
    data = stream.read(size)
    return data if len(data) == size else None


def to_json(value: Any) -> bytes:
    """A message as bytes."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8")


def from_contents(contents: Contents) -> dict[str, Any]:
    """Contents as a message."""
    return {
        "articles": [
            {"id": a.id, "title": a.title, "path": a.path, "text": a.text, "meta": dict(a.meta), "pages": a.pages}
            for a in contents.articles
        ],
        "failures": [{"path": f.path, "reason": f.reason} for f in contents.failures],
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {type(value)}")
    return value


def _pages(value: Any, most: int) -> tuple[int, ...]:
    pages = tuple(value)
    if not all(type(p) is int for p in pages) or list(pages) != sorted(pages):
        raise ValueError("pages out of order")
    if pages and not 0 <= pages[0] <= pages[-1] <= most:
        raise ValueError("pages outside the text")
    return pages


def to_contents(message: Any) -> Contents:
    """A message as contents: the child reads hostile files, so nothing it says is taken on trust.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` where a value is not what it should be.
    """
    articles = []
    for row in message["articles"]:
        text = _text(row["text"])
        meta = {_text(key): _text(value) for key, value in row["meta"].items()}
        pages = _pages(row["pages"], len(text))
        articles.append(Article(_text(row["id"]), _text(row["title"]), _text(row["path"]), text, meta, pages))
    failures = [Failure(_text(row["path"]), _text(row["reason"])) for row in message["failures"]]
    return Contents(tuple(articles), tuple(failures))
