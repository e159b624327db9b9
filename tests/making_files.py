"""Real files of every format, made with the libraries that people's programs are like."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence

import docx
import openpyxl
import pptx
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

FACT = "白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。"
PDF_LINE = 36


def html_file(title: str = "白石灯塔小史", body: str = FACT, head: str = "") -> bytes:
    """A page with a menu and a footer around its article."""
    return (
        f'<!DOCTYPE html><html lang="zh"><head><meta charset="utf-8"><title>{title} - 示例新闻网</title>{head}</head>'
        '<body><nav><ul><li><a href="/">首页</a></li><li><a href="/all">全部栏目</a></li></ul></nav>'
        f"<article><h1>{title}</h1><p>{body}</p><h2>开放时间</h2><ul><li>周一至周五开放</li><li>周二闭馆</li></ul>"
        "<table><tr><th>年份</th><th>事件</th></tr><tr><td>1887</td><td>建成</td></tr></table></article>"
        "<aside>猜你喜欢：更多精彩内容</aside><footer>版权所有 京ICP备00000000号</footer>"
        '<script>var tracking = "统计代码";</script></body></html>'
    ).encode()


def pdf_file(
    pages: Sequence[Sequence[str]] = ((FACT,),), title: str = "", password: str = "", author: str = "周怀远",
) -> bytes:
    """A PDF with a Chinese font; each page is a sequence of lines."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    out = io.BytesIO()
    canvas = Canvas(out, encrypt=StandardEncryption(password, canPrint=0) if password else None, invariant=1)
    canvas.setTitle(title)
    canvas.setAuthor(author)
    for lines in pages:
        canvas.setFont("STSong-Light", 11)
        for number, line in enumerate(lines):
            canvas.drawString(60, 790 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def docx_file(title: str = "白石灯塔小史", body: str = FACT) -> bytes:
    """A document with a heading, a list and a table between paragraphs."""
    document = docx.Document()
    document.core_properties.title = title
    document.core_properties.author = "周怀远"
    document.add_heading("来历", 1)
    document.add_paragraph(body)
    document.add_paragraph("周二闭馆", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ("年份", "事件", "1887", "建成"), strict=True):
        cell.text = text
    document.add_heading("今天", 2)
    document.add_paragraph("灯塔如今是一座小型博物馆。")
    return saved(document.save)


def pptx_file(title: str = "白石灯塔小史", body: str = FACT) -> bytes:
    """Two slides with titles, the second with a table and notes."""
    slides = pptx.Presentation()
    slides.core_properties.title = title
    first = slides.slides.add_slide(slides.slide_layouts[1])
    first.shapes.title.text = "来历"
    first.placeholders[1].text = body
    second = slides.slides.add_slide(slides.slide_layouts[5])
    second.shapes.title.text = "大事"
    table = second.shapes.add_table(2, 2, 0, 2_000_000, 4_000_000, 1_000_000).table
    for n, text in enumerate(("年份", "事件", "1954", "台风毁掉灯室")):
        table.cell(n // 2, n % 2).text = text
    second.notes_slide.notes_text_frame.text = "讲到这里放照片。"
    return saved(slides.save)


def xlsx_file(rows: Sequence[Sequence[object]] = (("姓名", "职位"), ("周怀远", "匠人")), title: str = "") -> bytes:
    book = openpyxl.Workbook()
    book.properties.title = title
    for row in rows:
        book.active.append(list(row))
    return saved(book.save)


def epub_file(title: str = "白石灯塔小史", chapters: Sequence[str] = (FACT, "第二章写台风。")) -> bytes:
    """A book whose spine has another order than its manifest."""
    opf = "".join(
        f'<item id="c{n}" href="text/c%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in reversed(range(len(chapters)))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
        '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title><dc:creator>周怀远</dc:creator>'
        f"<dc:date>2020-05-01</dc:date></metadata><manifest>{opf}</manifest><spine>{spine}</spine></package>",
    } | {
        f"OEBPS/text/c {n}.xhtml": '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><h1>第{n + 1}章</h1><p>{text}&nbsp;</p></body></html>'
        for n, text in enumerate(chapters)
    }
    return zip_file(files)


def json_file(*articles: Mapping[str, object]) -> bytes:
    rows = articles or ({"title": "白石灯塔小史", "content": FACT, "date": "2024-05-01", "author": "周怀远"},)
    return json.dumps(rows, ensure_ascii=False).encode()


def zip_file(files: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return out.getvalue()


def legacy_zip(files: Mapping[str, bytes], encoding: str) -> bytes:
    """An archive with names in a legacy encoding and no word about it, as Windows makes them."""
    stand_ins = {chr(65 + n) * len(name.encode(encoding)): name.encode(encoding) for n, name in enumerate(files)}
    data = zip_file(dict(zip(stand_ins, files.values(), strict=True)))
    for stand_in, raw in stand_ins.items():
        data = data.replace(stand_in.encode(), raw)
    return data


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def repacked(data: bytes, changes: Mapping[str, bytes]) -> bytes:
    """A package with some of its members changed or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        files = {name: package.read(name) for name in package.namelist()}
    return zip_file(files | changes)


MADE: Mapping[str, Callable[[], bytes]] = {
    ".txt": lambda: FACT.encode("gb18030"),
    ".md": f"# 白石灯塔小史\n\n{FACT}\n".encode,
    ".html": html_file,
    ".pdf": pdf_file,
    ".docx": docx_file,
    ".pptx": pptx_file,
    ".xlsx": lambda: xlsx_file((("名称", "简介"), ("白石灯塔", FACT))),
    ".csv": f"名称,简介\n白石灯塔,{FACT}\n".encode,
    ".epub": epub_file,
    ".json": json_file,
    ".jsonl": lambda: json.dumps({"title": "白石灯塔小史", "text": FACT}).encode() + b"\n",
    ".zip": lambda: zip_file({"灯塔/小史.md": FACT}),
}
"""A good file of every kind; each holds ``FACT``."""
