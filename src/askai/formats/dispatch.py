"""Which module reads which kind. Runs in the child; each library is imported with its first file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from askai.errors import ArticleError
from askai.formats.contents import Contents, Part, Source
from askai.formats.kinds import BY_NAME, PLAIN, ZIP, Kind, checked
from askai.formats.plain import decode, parse


def _read_package(data: bytes, kind: Kind, source: Source) -> Contents:
    """An Office document or a book: what it is, is told by what lies inside."""
    from askai.formats.packages import open_package, package_kind

    found = package_kind(open_package(data))
    if found is None:
        raise ArticleError(
            f"内容不是 {kind.suffixes[0]} 文件，而是别的压缩包，或文件已损坏。"
            "若是装着文章的压缩包，请把后缀改成 .zip 再放入。"
        )
    if found == "docx":
        from askai.formats.office import read_docx as read
    elif found == "pptx":
        from askai.formats.office import read_pptx as read
    elif found == "xlsx":
        from askai.formats.tables import read_xlsx as read
    else:
        from askai.formats.epub import read_epub as read
    return read(data, source)


def read_one(named: Kind, data: bytes, source: Source) -> Contents:
    """The articles of a file that is no archive. Raises ``ArticleError``."""
    kind = checked(data, named)
    if kind is PLAIN:
        found = parse(decode(data), id=source.id, path=source.path, stem=source.stem)
        return Contents((found,))
    if kind.name == "pdf":
        from askai.formats.pdf import read_pdf as read
    elif kind.name == "html":
        from askai.formats.web import read_html as read
    elif kind.name == "csv":
        from askai.formats.tables import read_csv as read
    elif kind.name == "json":
        from askai.formats.json_articles import read_json as read
    elif kind.name == "jsonl":
        from askai.formats.json_articles import read_jsonl as read
    else:
        return _read_package(data, named, source)
    return read(data, source)


def parts(kind_name: str, data: bytes, source: Source, start: int) -> Iterator[Part]:
    """The parts of a file from the ``start``-th on: the members of an archive, else the file itself."""
    kind = BY_NAME[kind_name]
    if kind is ZIP and checked(data, kind) is ZIP:
        from askai.formats.archives import archive_parts

        yield from archive_parts(data, source, start, read_one)
    elif start == 0:
        yield source.path, partial(read_one, kind, data, source)
