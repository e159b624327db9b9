"""Zip packages and the XML in them, opened with their dangers looked for first."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from lzma import LZMAError
from typing import Any

from lxml import etree

from askai.errors import ArticleError
from askai.formats.contents import broken

MAX_MEMBERS = 10_000
MAX_UNPACKED = 300_000_000
MAX_RATIO = 150
_SMALL = 10_000_000
_ENTITIES = re.compile(rb"<!\s*ENTITY", re.IGNORECASE)
_PARTS = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml", "xlsx": "xl/workbook.xml"}

BROKEN = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, ValueError, NotImplementedError, KeyError)
"""What zipfile raises for a damaged package."""


def open_package(data: bytes) -> zipfile.ZipFile:
    """A zip package. Raises ``ArticleError`` for one that is broken, locked or far larger inside.

    The sizes that a package states are believed: no more than them is ever unpacked.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
        members = package.infolist()
    except BROKEN as error:
        raise broken("文件") from error
    if len(members) > MAX_MEMBERS:
        raise ArticleError(f"里面有 {len(members):,} 个文件，超过 {MAX_MEMBERS:,} 个的上限。请拆成几份后再试。")
    size = sum(member.file_size for member in members)
    if size > MAX_UNPACKED or size > max(_SMALL, MAX_RATIO * len(data)):
        raise ArticleError(
            f"解压后有 {size / 1e6:,.0f} MB，而文件只有 {len(data) / 1e6:.2f} MB，像是压缩炸弹，没有读。"
            "若确是正常文件，请拆成几份或解压后再放入。"
        )
    return package


def member_bytes(package: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> bytes:
    """One member, unpacked. Raises ``ArticleError`` where it is broken or has a password."""
    try:
        info = package.getinfo(member) if isinstance(member, str) else member
        if info.flag_bits & 0x1:
            raise ArticleError("加了密码，读不了。请去掉密码后再放入。")
        return package.read(info)
    except BROKEN as error:
        raise broken("里面的内容") from error


def package_kind(package: zipfile.ZipFile) -> str | None:
    """``docx``, ``pptx``, ``xlsx`` or ``epub`` by what lies inside; None for any other package."""
    names = set(package.namelist())
    if "[Content_Types].xml" in names:
        return next((kind for kind, part in _PARTS.items() if part in names), None)
    return "epub" if "META-INF/container.xml" in names else None


def refuse_entities(package: zipfile.ZipFile) -> None:
    """Raise ``ArticleError`` where XML of an Office package declares entities: the standard has none.

    The parsers would not expand them either; this says plainly why the file is refused.
    """
    for member in package.infolist():
        if member.filename.lower().endswith((".xml", ".rels")):
            check_entities(member_bytes(package, member))


def check_entities(data: bytes) -> None:
    """Raise ``ArticleError`` where an XML text declares entities of its own."""
    # Without its NULs, ASCII in UTF-16 or UTF-32 reads like ASCII.
    if _ENTITIES.search(data) or (b"\0" in data and _ENTITIES.search(data.replace(b"\0", b""))):
        raise ArticleError("含有 XML 实体声明，可能是恶意文件，没有读。请用原来的程序打开、另存后再试。")


def parse_xml(data: bytes) -> Any:
    """The root of an XML text: nothing expanded, nothing fetched. Raises ``ArticleError``."""
    check_entities(data)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise broken("文件里的 XML ") from error
