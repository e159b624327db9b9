"""Word and PowerPoint: headings, lists and tables in their order; slides as pages, with their notes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from askai.formats.contents import Contents, Source, article, broken, one_line, tidy
from askai.formats.packages import BROKEN, open_package, refuse_entities
from askai.formats.tables import row_lines

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SKIPPED = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}txbxContent", f"{_W}instrText", f"{_W}delText"})
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING_STYLE = re.compile(r"(?:heading|标题)\s*([1-9])", re.IGNORECASE)
_FAULTS = (*BROKEN, TypeError, AttributeError, LookupError, SyntaxError, RuntimeError, AssertionError)


def _properties(document: Any) -> dict[str, str | None]:
    found = document.core_properties
    when = found.created or found.modified
    return {"title": found.title, "author": found.author, "date": when.date().isoformat() if when else None}


def _run_text(element: Any) -> str:
    """Text of a paragraph as it stands after all changes: insertions in, deletions out."""
    parts: list[str] = []
    pending = [element]
    while pending:
        node = pending.pop()
        if node.tag in _SKIPPED or node.tag == _FALLBACK:
            continue
        if node.tag == f"{_W}t":
            parts.append(node.text or "")
        elif node.tag in {f"{_W}tab", f"{_W}ptab"} and node.getparent().tag == f"{_W}r":
            parts.append("\t")
        elif node.tag in {f"{_W}br", f"{_W}cr"}:
            parts.append("\n")
        elif node.tag == f"{_W}noBreakHyphen":
            parts.append("-")
        pending.extend(reversed(node))
    return "".join(parts)


class _Styles:
    """Looks up what a paragraph is by its style: a title, a heading of some level, an item of a list."""

    def __init__(self, document: Any) -> None:
        self._styles = {style.style_id: style for style in document.styles if style.type == 1}
        self._levels = {id: self._level(style) for id, style in self._styles.items()}

    def level(self, paragraph: Any) -> int | None:
        """0 for a title, 1 to 6 for a heading, None for anything else."""
        outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if outline is not None and (outline.get(f"{_W}val") or "9") in "012345":
            return int(outline.get(f"{_W}val")) + 1
        return self._levels.get(_style_id(paragraph))

    @staticmethod
    def _level(style: Any) -> int | None:
        # A style may stand on others, and in a broken file on itself.
        for _ in range(10):
            if style is None:
                return None
            name = style.name or ""
            if name in {"Title", "标题"}:
                return 0
            if match := _HEADING_STYLE.match(name):
                return min(int(match.group(1)), 6)
            style = style.base_style
        return None

    def is_item(self, paragraph: Any) -> bool:
        number = paragraph.find(f"{_W}pPr/{_W}numPr/{_W}numId")
        if number is not None:
            return bool(number.get(f"{_W}val") != "0")
        style = self._styles.get(_style_id(paragraph))
        return style is not None and (style.name or "").startswith("List")


def _style_id(paragraph: Any) -> str:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return (style.get(f"{_W}val") or "") if style is not None else ""


def _table_rows(table: Any) -> Iterator[list[str]]:
    for row in table.iterfind(f"{_W}tr"):
        cells = []
        for cell in row.iter(f"{_W}tc"):
            # A cell that spans several columns stands once; the others of its row keep their places.
            span = cell.find(f"{_W}tcPr/{_W}gridSpan")
            wide = int(span.get(f"{_W}val") or "1") if span is not None else 1
            texts = (_run_text(p) for p in cell.iterfind(f"{_W}p"))
            cells += [" ".join(filter(None, texts)), *[""] * min(wide - 1, 63)]
        yield cells


def _blocks(body: Any, styles: _Styles) -> Iterator[str]:
    """The text of a body, block by block, with a mark before headings and items."""
    pending = list(reversed(body))
    while pending:
        block = pending.pop()
        if block.tag == f"{_W}p":
            text = _run_text(block).strip()
            level = styles.level(block)
            if not text:
                continue
            if level is not None:
                yield f"\n{'#' * max(level, 1)} {one_line(text)}\n"
            else:
                yield f"- {text}" if styles.is_item(block) else text
        elif block.tag == f"{_W}tbl":
            yield "\n".join(("", *row_lines(_table_rows(block)), ""))
        elif block.tag in {f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml", f"{_W}smartTag"}:
            pending.extend(reversed(block))


def read_docx(data: bytes, source: Source) -> Contents:
    """The one article of a Word document."""
    import docx

    refuse_entities(open_package(data))
    try:
        document = docx.Document(io.BytesIO(data))
        styles = _Styles(document)
        body = document.element.body
        text = tidy("\n".join(_blocks(body, styles)))
        meta = _properties(document)
        titles = (p for p in body.iterfind(f"{_W}p") if styles.level(p) == 0)
        meta["title"] = meta["title"] or next((t for p in titles if (t := _run_text(p).strip())), None)
    except _FAULTS as error:
        raise broken("Word 文档") from error
    return Contents((article(source, text, meta),))


def _shape_texts(shapes: Any, title: Any) -> Iterator[str]:
    """The text of shapes from top to bottom; groups are gone into."""
    pending = sorted(shapes, key=lambda s: (s.top or 0, s.left or 0), reverse=True)
    while pending:
        shape = pending.pop()
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if hasattr(shape, "shapes"):
            pending.extend(sorted(shape.shapes, key=lambda s: (s.top or 0, s.left or 0), reverse=True))
        elif getattr(shape, "has_table", False):
            yield "\n".join(row_lines([cell.text for cell in row.cells] for row in shape.table.rows))
        elif shape.has_text_frame:
            paragraphs = [one_line(p.text) for p in shape.text_frame.paragraphs]
            several = sum(map(bool, paragraphs)) > 1
            yield "\n".join(f"- {p}" if several else p for p in paragraphs if p)


def _slide(slide: Any) -> str:
    title = slide.shapes.title
    named = one_line(title.text_frame.text) if title is not None else ""
    parts = [f"# {named}"] if named else []
    parts += [text for text in _shape_texts(slide.shapes, title) if text]
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            parts.append(f"备注：{notes}")
    return tidy("\n".join(parts))


def read_pptx(data: bytes, source: Source) -> Contents:
    """The one article of a presentation; its pages are the slides."""
    import pptx
    from pptx.exc import PythonPptxError

    refuse_entities(open_package(data))
    try:
        slides = pptx.Presentation(io.BytesIO(data))
        texts = [_slide(slide) for slide in slides.slides]
        meta = _properties(slides)
    except (*_FAULTS, PythonPptxError, zipfile.BadZipFile) as error:
        raise broken("演示文稿") from error
    text, pages = "", []
    for shown in texts:
        text += "\n\n" if text and shown else ""
        pages.append(len(text))
        text += shown
    return Contents((article(source, text, meta, pages),))
