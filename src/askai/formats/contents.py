"""What reading a file gives: articles, and what in it could not be read. Text made clean on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from askai.errors import ArticleError
from askai.formats.plain import title_of
from askai.types import Article, Failure

MAX_CHARACTERS = 20_000_000
"""Text of one article at the most: a small file may stand for a very large text."""
NO_TEXT = "文件里没有文字。请写入内容后再重建索引。"

# What is no text, or no Unicode text: half characters, controls, a byte order mark, noncharacters.
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_GAP = re.compile(r"\n{3,}")
_NOBODY = frozenset("anonymous Administrator Admin User Author openpyxl python-docx Unknown 未知 作者".split())
_KEPT = ("title", "date", "author", "source", "url", "licence", "license")
_JUNK_TITLE = re.compile(
    r"Microsoft (?:Word|PowerPoint|Excel) - |(?:untitled|unspecified|无标题|未命名|演示文稿|PowerPoint|文档|slide"
    r"|document)[\s\d]*$|.*\.(?:docx?|pptx?|xlsx?|indd|pdf|wps|html?|tex|dvi)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """What a text is called: the id and path of its article; ``stem`` is its title for want of one."""

    id: str
    path: str
    stem: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The articles of a file, and the parts of it that could not be read."""

    articles: tuple[Article, ...] = ()
    failures: tuple[Failure, ...] = ()


Part = tuple[str, Callable[[], Contents]]
"""The path of a part of a file, and what reads it."""


def clean(text: str) -> str:
    """Unicode text with ``\\n`` for every line end; nothing is replaced by a stand-in character."""
    return _NO_TEXT.sub("", _BREAKS.sub("\n", text)).replace("\xa0", " ")


def tidy(text: str) -> str:
    """``clean`` text without spaces at line ends or more than one empty line in a row."""
    # Line by line: a pattern would go over a long run of spaces once for each of them.
    lines = (line.rstrip(" \t\u3000") for line in clean(text).split("\n"))
    return _GAP.sub("\n\n", "\n".join(lines)).strip("\n")


def one_line(text: str) -> str:
    """``clean`` text with every run of white space made one space."""
    return " ".join(clean(text).split())


def kept_meta(found: Mapping[str, str | None]) -> dict[str, str]:
    """The known keys of ``found`` that say something, each as one line."""
    meta = {key: one_line(found.get(key) or "")[:500] for key in _KEPT}
    if _JUNK_TITLE.match(meta["title"]):
        meta["title"] = ""
    if meta["author"] in _NOBODY:
        meta["author"] = ""
    return {key: value for key, value in meta.items() if value}


def article(
    source: Source, text: str, found: Mapping[str, str | None], pages: Sequence[int] = ()
) -> Article:
    """An article of ``tidy`` text. Raises ``ArticleError`` where there is no text, or too much."""
    if not text.strip():
        raise ArticleError(NO_TEXT)
    if len(text) > MAX_CHARACTERS:
        raise too_long()
    meta = kept_meta(found)
    title = one_line(title_of(text, meta, source.stem))[:200] or source.stem
    return Article(source.id, title, source.path, text, meta, tuple(pages))


def too_long() -> ArticleError:
    """The error for a file that holds more text than one article may have."""
    return ArticleError(f"展开后的文字超过 {MAX_CHARACTERS // 10_000} 万字的上限。请拆成几份后再试。")


def broken(what: str) -> ArticleError:
    """The error for a file that its library cannot take apart."""
    return ArticleError(f"{what}已损坏或不完整，读不出来。请用原来的程序打开、另存后再试。")
