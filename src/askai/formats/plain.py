"""Bytes to plain text, plain text to an article: encodings, front matter, titles."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator, Mapping

import yaml

from askai.errors import ArticleError
from askai.text import fold
from askai.types import Article

_LONGEST_FRONT_MATTER = 20_000

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIRST_HEADING = re.compile(r"^[ \t]{0,3}#[ \t]+(\S(?:.*[^\s#])?)[ \t#]*$", re.MULTILINE)
_COMMON = frozenset(
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去"
    "行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从现理间点"
    "业工本长部体外高名使新动力问全实关意等最开加合内民水文政重物第期由相电度化路性及机市资通或被信目次系数因"
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def plausible(text: str) -> float:
    """How much a decoded text looks like one: common characters less control and private ones.

    All letters count, not Chinese ones alone: GBK read as UTF-16 is full of Korean.
    """
    text = text[:20000]
    letters = [c for c in fold(text) if not c.isascii() and c.isalpha()]
    odd = sum(unicodedata.category(c) in {"Cc", "Co", "Cn"} and c not in "\t\n\r\f" for c in text)
    share = sum(c in _COMMON for c in letters) / len(letters) if letters else 0.3
    return share - 5 * odd / max(1, len(text))


def _decodings(data: bytes) -> Iterator[str]:
    for name in ("gb18030", "big5", "utf-16-le", "utf-16-be"):
        if name.startswith("utf-16") and (len(data) % 2 or len(data) < 4):
            continue
        try:
            yield data.decode(name)
        except UnicodeDecodeError:
            continue


def likeliest(data: bytes) -> str:
    """The decoding of legacy bytes that looks most like text; empty where none is possible."""
    return max(_decodings(data), key=plausible, default="")


def decode(data: bytes) -> str:
    """Bytes to text: a BOM's word first, then UTF-8, then the likeliest of GB18030, Big5, UTF-16.

    Never replaces a character. Raises ``ArticleError`` for empty, binary or undecodable bytes.
    """
    if not data.strip():
        raise ArticleError("文件是空的。请写入内容后再重建索引。")
    for bom, name in _BOMS:
        if data.startswith(bom):
            try:
                return data.decode(name).lstrip("\ufeff")
            except UnicodeDecodeError as error:
                raise ArticleError(f"文件标明是 {name} 编码，但内容不符。请另存为 UTF-8 后再试。") from error
    if b"\0" not in data:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    best = likeliest(data)
    if not best or plausible(best) < 0.08:
        raise ArticleError("不是文本文件，或编码无法识别。请另存为 UTF-8 编码的文本后再试。")
    return best.lstrip("\ufeff")


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    if "\0" in text:
        raise ArticleError("文件含有空字节，像是二进制文件。请另存为纯文本后再试。")
    controls = sum(unicodedata.category(c) == "Cc" and c not in "\t\n" for c in text[:100000])
    if controls > 0.02 * min(len(text), 100000) + 5:
        raise ArticleError("文件里多是控制字符，像是二进制文件。请另存为纯文本后再试。")
    if not text.strip():
        raise ArticleError("文件里没有文字。请写入内容后再重建索引。")
    return text


def _meta(block: str) -> dict[str, str] | None:
    """The plain values of front matter; None where the block is something else between two rules."""
    if not block.strip():
        return {}
    if len(block) > _LONGEST_FRONT_MATTER:
        return None
    try:
        # BaseLoader makes nothing but strings, lists and dictionaries: a value stays as it is
        # written, and no date or number can be out of range.
        loaded = yaml.load(block, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(loaded, dict):
        return None
    return {
        key.strip().lower(): value.strip()
        for key, value in loaded.items()
        if isinstance(key, str) and isinstance(value, str)
    }


def title_of(text: str, meta: Mapping[str, str], stem: str) -> str:
    """The title that the meta data gives, else the first heading or a short first line, else ``stem``."""
    if meta.get("title"):
        return meta["title"]
    heading = _FIRST_HEADING.search(text[:5000])
    if heading and heading.group(1).strip():
        return heading.group(1)
    first = text.strip().split("\n", 1)[0].strip()
    if 2 <= len(first) <= 40 and not re.search(r"[。！？；，,.!?;]", first):
        return first
    return stem


def parse(text: str, *, id: str, path: str, stem: str) -> Article:
    """Decoded text to an article: front matter off, newlines unified, title found.

    Raises ``ArticleError`` where no text is left.
    """
    text = _clean(text)
    match = _FRONT_MATTER.match(text)
    meta = _meta(match.group(1) or "") if match else None
    if match and meta is not None:
        text = text[match.end() :].lstrip("\n")
    if not text.strip():
        raise ArticleError("只有文件头，没有正文。请写入内容后再重建索引。")
    title = re.sub(r"\s+", " ", title_of(text, meta or {}, stem))[:200]
    return Article(id, title, path, text, meta or {})
