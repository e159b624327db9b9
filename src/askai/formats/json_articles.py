"""JSON and JSON Lines: a list of articles, one object each; several articles a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from askai.errors import ArticleError
from askai.formats.contents import NO_TEXT, Contents, Source, article, tidy
from askai.formats.plain import decode
from askai.types import Article, Failure

_TEXT = ("content", "text", "body", "article", "正文", "内容")
_META = {
    "title": ("title", "headline", "标题"),
    "date": ("date", "published", "pubdate", "time", "日期", "时间"),
    "author": ("author", "作者"),
    "source": ("source", "来源"),
    "url": ("url", "link", "网址", "链接"),
}
_LISTS = ("articles", "data", "items", "rows", "docs", "文章")
MAX_ENTRIES = 100_000
_NAMED_FAILURES = 1000
_SHAPE = "应是文章的列表，每篇有 title 和 content（或 text、body）。请改好后再放入。"


def _string(entry: Mapping[str, Any], names: Iterable[str]) -> str:
    lowered = {key.lower(): value for key, value in entry.items()}
    found = next((lowered[name] for name in names if lowered.get(name)), "")
    if isinstance(found, list):
        return "\n\n".join(part for part in found if isinstance(part, str))
    return found if isinstance(found, str) else ""


def _article(entry: Any, source: Source) -> Article:
    if not isinstance(entry, dict):
        raise ArticleError(f"不是文章：{_SHAPE}")
    text = tidy(_string(entry, _TEXT))
    if not text:
        raise ArticleError(f"没有正文：{_SHAPE}")
    return article(source, text, {key: _string(entry, names) for key, names in _META.items()})


def _load(text: str) -> Any:
    # Numbers stay as they are written: one of a million digits is no work then.
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except RecursionError as error:
        raise ArticleError("JSON 嵌套得太深，没有读。请改好后再放入。") from error
    except ValueError as error:
        where = f"第 {error.lineno} 行第 {error.colno} 列" if isinstance(error, json.JSONDecodeError) else "内容"
        raise ArticleError(f"JSON 有错（{where}）。请改好后再放入。") from error


def _many(entries: Iterable[tuple[int, Any]], source: Source) -> Contents:
    """An article for each entry; one that is none is named by its number and does not stop the rest."""
    articles: list[Article] = []
    failures: list[Failure] = []
    for number, entry in entries:
        mine = Source(f"{source.id}#{number}", source.path, f"{source.stem} {number}")
        if number > MAX_ENTRIES:
            raise ArticleError(f"里面的条目超过 {MAX_ENTRIES:,} 条的上限。请拆成几份后再试。")
        try:
            # A line of JSON Lines comes as text.
            articles.append(_article(_load(entry) if isinstance(entry, str) else entry, mine))
        except ArticleError as error:
            failures.append(Failure(f"{source.path}#{number}", str(error)))
            if len(failures) > _NAMED_FAILURES:
                told = f"有 {_NAMED_FAILURES:,} 条以上不是文章，没有读。第一条：{failures[0].reason}"
                raise ArticleError(told) from error
    if not articles:
        raise ArticleError(failures[0].reason if failures else NO_TEXT)
    return Contents(tuple(articles), tuple(failures))


def read_json(data: bytes, source: Source) -> Contents:
    """A list of articles, an object that holds one, or a single article."""
    text = decode(data)
    try:
        loaded = _load(text)
    except ArticleError:
        # Many a file named .json is JSON Lines.
        if text.lstrip().startswith("{") and "\n" in text.strip():
            return read_jsonl(data, source)
        raise
    if isinstance(loaded, dict):
        held = next((loaded[name] for name in _LISTS if isinstance(loaded.get(name), list)), None)
        if held is None:
            return Contents((_article(loaded, source),))
        loaded = held
    if not isinstance(loaded, list):
        raise ArticleError(f"不是文章：{_SHAPE}")
    return _many(((n, entry if not isinstance(entry, str) else None) for n, entry in enumerate(loaded, 1)), source)


def read_jsonl(data: bytes, source: Source) -> Contents:
    """One article a line, numbered by its line."""
    lines = ((n, line) for n, line in enumerate(decode(data).split("\n"), 1) if line.strip())
    return _many(lines, source)
