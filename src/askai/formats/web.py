"""Web pages: the article without menus and footers, its title, date, author and source."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from typing import Any

from lxml import etree, html

from askai.errors import ArticleError
from askai.formats.contents import NO_TEXT, Contents, Source, article, broken, clean, one_line, tidy
from askai.formats.markup import BOILERPLATE, tree_text
from askai.formats.plain import decode

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,30})""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""\A\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{2,30})""")
_EAST_ASIAN = re.compile(r"utf-?(?:8|16|32)|gb|big5|shift|euc-|sjis|iso-2022|hz")
_WESTERN = re.compile(r"iso-8859|windows-125|latin|koi8|cp\d")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_NUMBERED = re.compile(r"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?")
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{20000,}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MAX_ATTRIBUTES = 5000
_SITE_TAIL = re.compile(r"\s*[-_|–—·»]+\s*[^-_|–—·»]{1,20}$")
_DATE = re.compile(r"(?:19|20)\d\d[-/.年]\d{1,2}(?:[-/.月]\d{1,2}日?)?")
_META = {
    "title": ("og:title", "twitter:title", "dc.title", "citation_title", "headline"),
    "date": (
        "article:published_time", "datepublished", "og:published_time", "publishdate", "pubdate",
        "publish_date", "dc.date", "dc.date.issued", "citation_publication_date", "date", "weibo: article:create_at",
    ),
    "author": ("author", "article:author", "dc.creator", "byl", "citation_author"),
    "source": ("og:site_name", "source", "mediaid", "application-name", "publisher", "contentsource"),
    "url": ("og:url", "twitter:url"),
}


def decode_page(data: bytes) -> str:
    """Bytes of a page to text: a BOM's word, then what the page declares, then guessing."""
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return decode(data)
    declared = _XML_ENCODING.search(data[:300]) or _CHARSET.search(data[:4096])
    if declared:
        name = declared.group(1).decode("ascii").lower()
        # What calls itself GB2312 mostly is GBK, of which GB18030 is the whole.
        name = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}.get(name, name)
        if _EAST_ASIAN.match(name):
            try:
                return data.decode(name)
            except (LookupError, UnicodeError):
                pass  # the page is wrong about itself
    try:
        return decode(data)
    except ArticleError:
        # Any bytes are some text in a Western encoding: believed last.
        if declared and _WESTERN.match(name):
            with suppress(LookupError, UnicodeError):
                return data.decode(name)
        raise


def _reference(match: re.Match[str]) -> str:
    """A reference to no character of Unicode goes: a parser would put a stand-in there."""
    digits = match.group(1) or match.group(2)
    code = int(digits, 16 if match.group(1) else 10) if len(digits) < 12 else -1
    return match.group() if 0 < code < 0xD800 or 0xDFFF < code <= 0x10FFFF else ""


def parse_page(text: str) -> Any:
    """The root element of a page. Raises ``ArticleError`` for one that no parser should be given."""
    for tag in _LONG_TAG.finditer(text):
        if len(_QUOTED.sub('""', tag.group()).split()) > _MAX_ATTRIBUTES:
            raise ArticleError(f"有的标签带着 {_MAX_ATTRIBUTES:,} 个以上的属性，不像正常的网页，没有读。请另存后再试。")
    text = _NUMBERED.sub(_reference, _DECLARATION.sub("", clean(text)))
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True)
    try:
        root = html.document_fromstring(text.encode("utf-8"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise ArticleError(NO_TEXT) from error
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise ArticleError("网页的标签嵌套得太深，读不完整，没有读。请另存为文本后再试。")
    return root


def _properties(root: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in root.iter("meta"):
        key = meta.get("property") or meta.get("name") or meta.get("itemprop")
        value = one_line(unescape(meta.get("content") or ""))
        if key and value:
            found.setdefault(key.strip().lower(), value)
    return found


def _linked_data(root: Any) -> Iterator[dict[str, Any]]:
    for script in root.iter("script"):
        if "ld+json" in (script.get("type") or ""):
            try:
                loaded = json.loads(script.text or "", parse_int=str, parse_float=str)
            except (ValueError, RecursionError):
                continue
            entries = loaded if isinstance(loaded, list) else [loaded]
            for entry in entries:
                if isinstance(entry, dict):
                    graph = entry.get("@graph")
                    yield from (e for e in (graph if isinstance(graph, list) else [entry]) if isinstance(e, dict))


def _named(value: Any) -> str | None:
    if isinstance(value, list):
        return "、".join(filter(None, map(_named, value[:5]))) or None
    if isinstance(value, dict):
        value = value.get("name")
    return value if isinstance(value, str) else None


def page_meta(root: Any) -> dict[str, str | None]:
    """Title, date, author, source and address that the page itself states."""
    properties = _properties(root)
    meta: dict[str, str | None] = {
        key: next((properties[name] for name in names if name in properties), None)
        for key, names in _META.items()
    }
    for entry in _linked_data(root):
        if "headline" in entry:
            meta["title"] = meta["title"] or _named(entry["headline"])
            meta["date"] = meta["date"] or _named(entry.get("datePublished"))
            meta["author"] = meta["author"] or _named(entry.get("author"))
            meta["source"] = meta["source"] or _named(entry.get("publisher"))
    canonical = root.xpath("//link[@rel='canonical']/@href")
    meta["url"] = meta["url"] or (str(canonical[0]) if canonical else None)
    headings = [one_line("".join(h.itertext(with_tail=False))) for h in root.iter("h1")]
    title = one_line("".join(root.xpath("//head/title//text()")))[:500]
    if not meta["title"]:
        # A page's <title> mostly ends in the name of the site.
        named = [h for h in headings if h]
        meta["title"] = named[0] if len(named) == 1 else _SITE_TAIL.sub("", title) or title
    date = _DATE.search(meta["date"] or "")
    if date is None and (time := next(root.iter("time"), None)) is not None:
        date = _DATE.search(time.get("datetime") or "")
    meta["date"] = date.group() if date else None
    return meta


def page_text(root: Any) -> str:
    """The article of a page. trafilatura finds it; where it keeps almost nothing, the page as it is."""
    import trafilatura
    from trafilatura.settings import Extractor

    whole = tree_text(root, BOILERPLATE)
    options = Extractor(output_format="python", recall=True, comments=False, with_metadata=False)
    found = trafilatura.bare_extraction(root, options=options)
    body = getattr(found, "body", None)
    main = tidy(tree_text(body)) if body is not None else ""
    return main if len(main) >= max(80, len(whole) // 5) or not whole else whole


def read_html(data: bytes, source: Source) -> Contents:
    """The one article of a page."""
    root = parse_page(decode_page(data))
    meta = page_meta(root)
    try:
        text = page_text(root)
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError) as error:
        raise broken("网页") from error
    return Contents((article(source, text, meta),))
