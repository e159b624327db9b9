"""EPUB books: the chapters in the order of the spine, one article a book."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from typing import Any
from urllib.parse import unquote

from lxml import etree

from askai.errors import ArticleError
from askai.formats.contents import Contents, Source, article, broken, clean, one_line
from askai.formats.markup import local_name, texts_of, tree_text
from askai.formats.packages import check_entities, member_bytes, open_package, parse_xml
from askai.formats.web import decode_page, parse_page

_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>", re.IGNORECASE)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OWN = frozenset({"amp", "lt", "gt", "quot", "apos"})
_READ = frozenset({"application/xhtml+xml", "text/html", "application/xml", "text/xml"})
_LOCKED = "META-INF/encryption.xml"


def _entity(match: re.Match[str]) -> str:
    name = match.group(1)
    return match.group() if name in _OWN or f"{name};" not in html5 else unescape(match.group())


def _chapter(data: bytes) -> Any:
    """The root of a chapter: XHTML as it should be, else whatever HTML makes of it."""
    check_entities(data)
    text = _ENTITY.sub(_entity, _DOCTYPE.sub("", _DECLARATION.sub("", clean(decode_page(data)))))
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8"
    )
    try:
        return etree.fromstring(text.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return parse_page(text)


def _spine(package: zipfile.ZipFile) -> tuple[Any, list[str]]:
    """The package document and the names of the chapters in order."""
    container = parse_xml(member_bytes(package, "META-INF/container.xml"))
    paths = [e.get("full-path") for e in container.iter() if local_name(e) == "rootfile"]
    if not paths or not paths[0]:
        raise broken("电子书")
    opf = parse_xml(member_bytes(package, paths[0]))
    folder = posixpath.dirname(paths[0])
    items = {
        e.get("id"): posixpath.normpath(posixpath.join(folder, unquote(e.get("href") or "")))
        for e in opf.iter()
        if local_name(e) == "item" and (e.get("media-type") or "").lower() in _READ
        and "nav" not in (e.get("properties") or "").split()
    }
    names = [items[e.get("idref")] for e in opf.iter() if local_name(e) == "itemref" and e.get("idref") in items]
    return opf, list(dict.fromkeys(names))


def _chapters(package: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    known = set(package.namelist())
    for name in names:
        if name in known:
            root = _chapter(member_bytes(package, name))
            body = next((e for e in root.iter() if local_name(e) == "body"), root)
            text = tree_text(body)
            if text:
                yield text


def read_epub(data: bytes, source: Source) -> Contents:
    """The one article of a book."""
    package = open_package(data)
    opf, names = _spine(package)
    locks = member_bytes(package, _LOCKED) if _LOCKED in package.namelist() else b""
    # In an open book the fonts alone may be scrambled.
    if any(name.encode() in locks for name in names):
        raise ArticleError("电子书加了版权保护（DRM），读不了。请换成没有加密的版本。")
    text = "\n\n".join(_chapters(package, names))

    def first(name: str) -> str | None:
        return next((t for t in texts_of(opf, name) if t), None)

    meta = {
        "title": first("title"), "author": "、".join(filter(None, texts_of(opf, "creator"))),
        "date": one_line(first("date") or "")[:10], "source": first("publisher"),
    }
    return Contents((article(source, text, meta),))
