"""PDF: the text layer, line by line made paragraphs again, with the offset at which each page begins."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from askai.errors import ArticleError
from askai.formats.contents import Contents, Source, article, broken, clean, one_line

MAX_PAGES = 20_000
_SCANNED = "PDF 里没有文字，像是扫描件或图片。请先做文字识别（OCR），再放入带文字的 PDF 或文本。"
# What pdfium puts where a hyphen ends a line.
_HYPHEN = re.compile(r"(\w)[\x02\ufffe](?=(\w))")
# A page number alone, or at either end of a running head.
_OF = r"(?:\s*[/／,，]?\s*共\s*\d{1,5}\s*页|\s*[/／]\s*\d{1,5}\s*页?)?"
_NUMBER = rf"(?:[-–—·|\s]*(?:第\s*)?(?:\d{{1,5}}|[ivxlc]{{1,6}})\s*页?{_OF}[-–—·|\s]*)"
_PAGE_NUMBER = re.compile(rf"^{_NUMBER}$|^{_NUMBER}(?=\s)|(?<=\s){_NUMBER}$|第\s*\d+\s*页")
_ENDS = tuple("。！？!?：:；;…”」』》.")
_OPENS = re.compile(
    r"[\u3000\t]| {2,}|#{1,6} |[•●■◆·▪–-]\s|第[一二三四五六七八九十百千零〇\d]{1,6}[章节条编部篇]"
    r"|[一二三四五六七八九十]{1,3}、|[（(][一二三四五六七八九十\d]{1,3}[）)]|\d{1,3}(?:\.\d{1,3})*[.、．)）\s]"
)
# The radicals of the supplement that are also characters; NFKC knows only those of Kangxi.
_RADICALS = str.maketrans(
    "⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻬⻮⻰⻳⺁⺈⺊⺌⺝⺡⺧⺩⺮⺴⺷⺼⺾⻂⻈⻊⻏⻐⻖⻗",
    "母民虎西见角贝车长门青韦页风飞食马骨鬼鱼鸟卤麦黄齐齿龙龟厂刀卜小月氵牛王竹网羊肉艹衤讠足阝钅阝雨",
) | {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x2F00, 0x2FD6)}


def plain_han(text: str) -> str:
    """Radicals that stand for characters, as the characters: some fonts map 文 to ⽂."""
    return text.translate(_RADICALS)


def _mended(match: re.Match[str]) -> str:
    before, after = match.group(1), match.group(2)
    return before if before.islower() and after.islower() else f"{before}-"


def _lines(raw: str) -> list[str]:
    text = clean(plain_han(_HYPHEN.sub(_mended, raw)))
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def _width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _edge(line: str) -> str:
    """An outermost line of a page, its page number taken for any."""
    return _PAGE_NUMBER.sub("#", one_line(line), count=1) if len(line) < 200 else line


def without_running_heads(pages: Sequence[list[str]]) -> list[list[str]]:
    """The lines of each page less what stands at the top or foot of many pages: heads, page numbers."""
    if len(pages) < 3:
        return list(pages)
    seen: Counter[str] = Counter()
    for lines in pages:
        seen.update({_edge(line) for line in (*lines[:1], *lines[-1:])} | {*lines[1:2], *lines[-2:-1]})
    often = max(3, round(0.4 * len(pages)))
    kept = []
    for lines in pages:
        start, end = 0, len(lines)
        if lines and seen[_edge(lines[0])] >= often:
            start = 2 if len(lines) > 1 and seen[lines[1]] >= often else 1
        if end > start and seen[_edge(lines[-1])] >= often:
            end -= 2 if end - start > 1 and seen[lines[-2]] >= often else 1
        kept.append(lines[start:end])
    return kept


def _joint(before: str, after: str, full: int) -> str:
    """What belongs between two lines: nothing or a space inside a paragraph, else a line end."""
    ends = before.endswith(_ENDS) or before.startswith("#") or _width(before) < 0.85 * full
    if ends or _OPENS.match(after):
        return "\n"
    wide = any(unicodedata.east_asian_width(c) in "WF" for c in (before[-1], after[0]))
    return "" if wide else " "


def paragraphs(pages: Sequence[list[str]]) -> tuple[str, tuple[int, ...]]:
    """Lines of pages to text, and the offset at which each page begins in it."""
    widths = sorted(_width(line) for lines in pages for line in lines)
    full = widths[int(0.9 * (len(widths) - 1))] if widths else 0
    parts: list[str] = []
    offsets: list[int] = []
    size, before = 0, ""
    for lines in pages:
        begins = len(offsets)
        for line in lines:
            joint = _joint(before, line, full) if before else ""
            shown = line if joint == "\n" else line.lstrip()
            if joint != "\n" and before[-2:-1].islower() and before.endswith("-") and shown[0].islower():
                parts[-1] = parts[-1][:-1]
                size, joint = size - 1, ""
            if len(offsets) == begins:
                offsets.append(size + len(joint))
            parts += [joint, shown]
            size += len(joint) + len(shown)
            before = line
        if len(offsets) == begins:
            offsets.append(size)
    return "".join(parts), tuple(offsets)


def _titles(document: Any) -> dict[str, int]:
    """The titles of the document's outline with their levels."""
    titles: dict[str, int] = {}
    for entry in islice(document.get_toc(max_depth=6), 5000):
        title = one_line(plain_han(entry.get_title() or ""))
        if 1 < len(title) <= 80:
            titles.setdefault(title, min(entry.level + 1, 6))
    return titles


def _marked(lines: list[str], titles: dict[str, int]) -> list[str]:
    return [f"{'#' * titles[found]} {found}" if (found := one_line(line)) in titles else line for line in lines]


def _meta(document: Any) -> dict[str, str | None]:
    try:
        found = document.get_metadata_dict()
    except UnicodeDecodeError:
        # Half of a character in a property; the pages are read all the same.
        return {}
    stamp = re.match(r"D:(\d{4})(\d\d)(\d\d)", found.get("CreationDate") or "")
    return {
        "title": plain_han(found.get("Title") or ""),
        "author": found.get("Author"),
        "date": "-".join(stamp.groups()) if stamp else None,
    }


def read_pdf(data: bytes, source: Source) -> Contents:
    """The one article of a document, with its pages."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        if len(document) > MAX_PAGES:
            raise ArticleError(f"PDF 有 {len(document):,} 页，超过 {MAX_PAGES:,} 页的上限。请拆成几份后再试。")
        raw = [_page_lines(document, number) for number in range(len(document))]
        titles, meta = _titles(document), _meta(document)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise ArticleError("PDF 加了密码，读不了。请去掉密码后再放入。") from error
        raise broken("PDF ") from error
    letters = sum(len(line) for lines in raw for line in lines)
    if letters < max(1, 4 * len(raw) if len(raw) > 2 else 1):
        raise ArticleError(_SCANNED)
    text, offsets = paragraphs([_marked(lines, titles) for lines in without_running_heads(raw)])
    return Contents((article(source, text, meta, offsets),))


def _page_lines(document: Any, number: int) -> list[str]:
    page = document[number]
    try:
        text = page.get_textpage()
        try:
            return _lines(text.get_text_bounded())
        finally:
            text.close()
    finally:
        page.close()
