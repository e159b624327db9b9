"""Which files are read: suffixes, sizes, and what their first bytes say. The one list of them all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from askai.errors import ArticleError

_TEXT = 20_000_000
_PACKAGE = 100_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its suffixes, the first of which is its usual one, and its size in bytes at most.

    ``begins`` is what every file of the kind begins with.
    """

    name: str
    suffixes: tuple[str, ...]
    limit: int = _TEXT
    begins: bytes = b""


_ZIP = b"PK"
PLAIN = Kind("txt", (".txt", ".md", ".markdown"))
PDF = Kind("pdf", (".pdf",), _PACKAGE, b"%PDF-")
ZIP = Kind("zip", (".zip",), _PACKAGE, _ZIP)
KINDS = (
    PLAIN,
    Kind("html", (".html", ".htm", ".xhtml")),
    PDF,
    Kind("docx", (".docx",), _PACKAGE, _ZIP),
    Kind("pptx", (".pptx",), _PACKAGE, _ZIP),
    Kind("xlsx", (".xlsx",), _PACKAGE, _ZIP),
    Kind("csv", (".csv", ".tsv")),
    Kind("epub", (".epub",), _PACKAGE, _ZIP),
    Kind("json", (".json",)),
    Kind("jsonl", (".jsonl", ".ndjson")),
    ZIP,
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
SUFFIXES = frozenset(BY_SUFFIX)
LARGEST = max(kind.limit for kind in KINDS)
SHOWN = "、".join(kind.suffixes[0] for kind in KINDS).replace(".txt、", ".txt、.md、")
UNSUPPORTED = f"格式不支持：能读的有 {SHOWN}。请转换后再放入。"

# Known by their first bytes and not read: better named than called an unknown encoding.
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "旧版 Office 文件（.doc、.xls、.ppt），或加了密码的 Office 文件",
     "请去掉密码，另存为 .docx、.xlsx 或 .pptx 后再放入。"),
    (b"{\\rtf", "RTF 文件", "请另存为 .docx 后再放入。"),
    (b"Rar!\x1a\x07", "RAR 压缩包", "请解压，或改用 .zip。"),
    (b"7z\xbc\xaf\x27\x1c", "7z 压缩包", "请解压，或改用 .zip。"),
    (b"\x1f\x8b", "gzip 压缩文件", "请解压后再放入。"),
    (b"\x89PNG\r\n", "图片", "图片里的字请先转成文本。"),
    (b"\xff\xd8\xff", "图片", "图片里的字请先转成文本。"),
    (b"\x7fELF", "程序文件", "请放入文章。"),
    (b"SQLite format 3\0", "数据库文件", "请导出为 .csv 或 .json 后再放入。"),
)


def kind_of(name: str) -> Kind:
    """The kind that the suffix of a file name says. Raises ``ArticleError`` for one that is not read."""
    kind = BY_SUFFIX.get(PurePath(name).suffix.lower())
    if kind is None:
        raise ArticleError(UNSUPPORTED)
    return kind


def too_big(size: int, limit: int) -> ArticleError:
    """The error for a file of ``size`` bytes."""
    return ArticleError(f"文件有 {size / 1e6:.0f} MB，超过 {limit / 1e6:.0f} MB 的上限。请拆成几份后再试。")


def checked(data: bytes, kind: Kind) -> Kind:
    """The kind to read ``data`` as: its first bytes are believed before its suffix.

    Any package comes back as the kind of its suffix or as ``docx``: which one it is, is looked up
    in the child. An archive is read as such by its suffix alone. Raises ``ArticleError`` for bytes
    that are known to be something else, too many of them, or not what the suffix says.
    """
    if len(data) > kind.limit:
        raise too_big(len(data), kind.limit)
    for begins, what, advice in _FOREIGN:
        if data.startswith(begins):
            raise ArticleError(f"内容是{what}，不能直接读。{advice}")
    if data.startswith(PDF.begins):
        return PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return kind if kind.begins == _ZIP else BY_NAME["docx"]
    if not data.strip():
        raise ArticleError("文件是空的。请写入内容后再重建索引。")
    if kind is PDF and PDF.begins in data[:1024]:
        return PDF
    if kind.begins:
        raise ArticleError(f"内容不是 {kind.suffixes[0]} 文件，可能已损坏或改错了后缀。请核对后再放入。")
    return kind
