"""Every format to articles: text, headings, tables, pages, titles and names, in files as programs make them."""

from __future__ import annotations

import codecs
import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings, strategies as st

from askai.assistant import Assistant
from askai.corpus import SUFFIXES, load, read_articles, read_data, unique
from askai.errors import ArticleError
from askai.formats.pdf import paragraphs, plain_han, without_running_heads
from askai.passages import split
from askai.text import sentences
from askai.types import Article
from conftest import ROOT, Run
from making_files import (
    FACT,
    MADE,
    PDF_LINE,
    docx_file,
    epub_file,
    html_file,
    json_file,
    legacy_zip,
    pdf_file,
    pptx_file,
    repacked,
    saved,
    xlsx_file,
    zip_file,
)


def read(data: bytes, name: str) -> Article:
    (article,) = read_data(data, name, name).articles
    return article


def checked(article: Article) -> None:
    """What holds for every article: clean text, passages that are slices, pages inside."""
    text = article.text
    text.encode("utf-8")
    assert "\0" not in text
    assert "".join(text[a:b] for a, b in sentences(text)) == text
    assert all(0 <= p.start < p.end <= len(text) for p in split(article))
    assert list(article.pages) == sorted(article.pages)
    assert all(0 <= page <= len(text) for page in article.pages)


# --- every format


@pytest.mark.parametrize("suffix", MADE)
def test_every_format_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"文章{suffix}"
    path.write_bytes(MADE[suffix]())
    (article,) = read_articles(path, path.name)
    assert FACT in article.text
    assert article.id.startswith(path.name)
    assert article.path.startswith(path.as_posix())
    checked(article)


def test_every_suffix_has_a_sample() -> None:
    others = {".markdown", ".htm", ".xhtml", ".tsv", ".ndjson"}
    assert set(MADE) | others == SUFFIXES


@pytest.mark.parametrize("suffix", [s for s in MADE if s not in {".txt", ".md", ".zip", ".csv", ".json", ".jsonl", ".html"}])
@pytest.mark.parametrize("wrong", [".txt", ".pdf", ".docx", ".epub", ".html", ".csv", ".json"])
def test_a_file_with_another_suffix_is_read_by_its_content(suffix: str, wrong: str) -> None:
    assert FACT in read(MADE[suffix](), f"a{wrong}").text


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".pptx", ".xlsx", ".epub", ".zip"])
def test_text_that_calls_itself_a_document_is_refused(suffix: str) -> None:
    with pytest.raises(ArticleError, match=rf"内容不是 \{suffix} 文件"):
        read_data(FACT.encode(), f"a{suffix}", f"a{suffix}")


@pytest.mark.parametrize("suffix", [".docx", ".txt", ".pdf"])
def test_an_archive_under_another_name_is_refused(suffix: str) -> None:
    with pytest.raises(ArticleError, match="后缀改成 .zip"):
        read_data(MADE[".zip"](), f"a{suffix}", f"a{suffix}")


@pytest.mark.parametrize(
    ("begins", "named"),
    [(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "旧版 Office"), (b"{\\rtf1", "RTF"), (b"Rar!\x1a\x07\x01", "RAR"),
     (b"\x1f\x8b\x08", "gzip"), (b"\x89PNG\r\n\x1a\n", "图片")],
)
def test_known_formats_that_are_not_read_are_named(begins: bytes, named: str) -> None:
    for name in ("a.txt", "a.docx", "a.html"):
        with pytest.raises(ArticleError, match=named):
            read_data(begins + bytes(600), name, name)


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_readme_names_every_suffix(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert not [suffix for suffix in SUFFIXES if f"`{suffix}`" not in text]


# --- web pages


def test_a_page_loses_its_boilerplate_and_keeps_its_order() -> None:
    head = (
        '<meta property="og:title" content="白石灯塔：一百年"><meta name="author" content="周怀远">'
        '<meta property="article:published_time" content="2024-05-01T08:00:00+08:00">'
        '<meta property="og:site_name" content="示例新闻网"><link rel="canonical" href="https://example.com/1">'
    )
    article = read(html_file(head=head), "a.html")
    assert article.title == "白石灯塔：一百年"
    assert {k: article.meta[k] for k in ("date", "author", "source", "url")} == {
        "date": "2024-05-01", "author": "周怀远", "source": "示例新闻网", "url": "https://example.com/1",
    }
    for gone in ("首页", "猜你喜欢", "京ICP备", "统计代码"):
        assert gone not in article.text
    assert "## 开放时间\n\n- 周一至周五开放\n- 周二闭馆" in article.text
    assert "年份：1887；事件：建成。" in article.text


def test_linked_data_names_author_and_date() -> None:
    data = {"@graph": [{"@type": "NewsArticle", "headline": "标题", "datePublished": "2023年4月5日", "author": [{"name": "甲"}, {"name": "乙"}]}]}
    head = f'<script type="application/ld+json">{json.dumps(data)}</script>'
    article = read(html_file(head=head), "a.html")
    assert (article.meta["author"], article.meta["date"]) == ("甲、乙", "2023年4月5日")


def test_the_site_is_cut_off_a_title() -> None:
    page = html_file().replace(b"<h1>", b"<h3>").replace(b"</h1>", b"</h3>")
    assert read(page, "a.html").title == "白石灯塔小史"


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "gb18030", "big5", "utf-8", "utf-16", "", "x-unknown", "iso-8859-1", "idna"])
def test_the_encoding_of_a_page(declared: str) -> None:
    text = "<html><head><meta charset=UNSAID></head><body><p>綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜。</p></body></html>"
    actual = {"gb2312": "gb18030", "": "gb18030", "x-unknown": "big5", "iso-8859-1": "gb18030", "idna": "utf-8", "utf-16": "utf-16"}.get(declared, declared)
    data = text.replace("UNSAID", declared or "utf-8").encode(actual)
    assert "綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜。" in read(data, "a.htm").text


def test_a_western_page_is_believed_last() -> None:
    data = "<meta charset=windows-1252><p>Où est le phare ? Près de l’île, « là-bas » — à côté du café.</p>".encode("cp1252")
    assert read(data, "a.html").text.startswith("Où est le phare ? Près de l’île")


def test_a_bom_of_a_page_outweighs_its_declaration() -> None:
    data = codecs.BOM_UTF8 + '<meta charset="gbk"><p>灯塔在二〇〇三年停止使用。</p>'.encode()
    assert read(data, "a.html").text == "灯塔在二〇〇三年停止使用。"


def test_lines_of_a_paragraph_are_joined_as_chinese_is_written() -> None:
    body = "灯塔在二〇〇三年\n   停止使用，\n如今是 GPS\n时代的<b>博物</b>馆。<br>第二行"
    text = read(html_file(body=body), "a.html").text
    assert "灯塔在二〇〇三年停止使用，如今是 GPS 时代的博物馆。" in text
    assert "\n第二行" in text


def test_references_to_no_character_leave_no_stand_in() -> None:
    page = html_file(body=f"{FACT}甲&#0;乙&#xD800;丙&#x110000;丁&#65;&#x4e2d;")
    assert "甲乙丙丁A中" in read(page, "a.html").text


def test_a_page_that_is_all_short_lines_is_kept() -> None:
    page = "<html><body>" + "".join(f"<div><span>第{n}条</span><div>规定{n}。</div></div>" for n in range(30)) + "</body></html>"
    text = read(page.encode(), "a.html").text
    assert all(f"规定{n}。" in text for n in range(30))


# --- PDF


def test_pages_of_a_pdf_lead_to_the_page_of_a_citation(tmp_path: Path) -> None:
    pages = [["白石灯塔史料汇编", f"第{n}章", f"第{n}座灯塔的代号是 HB-{n}7 号，它的灯光能照到很远的海面上去。", f"- {n} -"] for n in range(1, 6)]
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "灯塔.pdf").write_bytes(pdf_file(pages, title="灯塔代号"))
    assistant, report = Assistant.build([tmp_path / "corpus"], tmp_path / "index")
    assert not report.failures
    article = assistant.article("灯塔")
    assert article.title == "灯塔代号"
    assert "史料汇编" not in article.text
    assert "- 3 -" not in article.text
    assert [article.text[p:].split("\n")[0] for p in article.pages] == [f"第{n}章" for n in range(1, 6)]
    answer = assistant.ask("第4座灯塔的代号是多少？")
    assert "HB-47" in answer.citations[0].quote
    assert answer.citations[0].page == 4
    assert Assistant.open(tmp_path / "index").article("灯塔").pages == article.pages


def test_the_terminal_shows_the_page(askai: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "灯塔.pdf").write_bytes(pdf_file([["前言写在这里。"], [FACT]]))
    assert askai("build").returncode == 0
    assert "灯塔.pdf（第 2 页，" in askai("ask", "白石灯塔由谁主持修建？").stdout.decode()
    (answer,) = map(json.loads, askai("ask", "白石灯塔由谁主持修建？", "--json").stdout.splitlines())
    assert answer["citations"][0]["page"] == 2


def test_lines_of_a_pdf_become_paragraphs_again() -> None:
    text = "白石灯塔建于一八八七年，由匠人周怀远主持修建，塔高三十一米，灯光的射程有二十海里，一直用到了二〇〇三年，如今是一座小型的海边博物馆，每个星期二闭馆。"
    lines = [text[n : n + PDF_LINE] for n in range(0, len(text), PDF_LINE)]
    article = read(pdf_file([[*lines, "第二段从这里开始。", "一、列出第一条", "二、列出第二条"]]), "a.pdf")
    assert article.text == f"{text}\n第二段从这里开始。\n一、列出第一条\n二、列出第二条"


def test_a_paragraph_that_goes_on_over_the_page_is_not_cut() -> None:
    first, second = "甲" * 40, "乙" * 20
    text, pages = paragraphs([["前面一段。" * 8, first], [second + "。"], [], ["尾。"]])
    assert text == f"{'前面一段。' * 8}\n{first}{second}。\n尾。"
    assert pages == (0, 81, 102, 103)


def test_western_words_keep_their_spaces_and_lose_their_hyphens() -> None:
    lines = ["The lighthouse was built by hand of white stone and stood for a cen-", "tury before the storm took", "the lamp away."]
    assert "for a century before the storm took" in paragraphs([lines])[0]
    article = read(pdf_file([["The keepers went up the stairs of the light-", "house every evening."], [FACT]]), "a.pdf")
    assert "lighthouse every evening." in article.text


def test_radicals_become_characters() -> None:
    assert plain_han("⽂⽇⻓⻔⻅⻢，文字") == "文日长门见马，文字"


def test_running_heads_go_and_text_of_the_same_form_stays() -> None:
    heads = ("内部资料", "{n} 内部资料", "内部资料 第 {n} 页", "第 {n} 页，共 6 页", "第 {n} / 6 页", "- {n} -", "{n}")
    for head in heads:
        pages = [[head.format(n=n), f"第{n}章", f"今天是{n}号。", f"正文{n}。", f"{n}/6"] for n in range(1, 7)]
        assert without_running_heads(pages) == [[f"第{n}章", f"今天是{n}号。", f"正文{n}。"] for n in range(1, 7)], head
    few = [["甲", "乙"], ["甲", "丙"]]
    assert without_running_heads(few) == few


def test_an_outline_gives_headings() -> None:
    from reportlab.pdfgen.canvas import Canvas

    pdf_file()
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.setFont("STSong-Light", 12)
    for n, (title, level) in enumerate((("第一部分", 0), ("来历", 1))):
        canvas.bookmarkPage(title)
        canvas.addOutlineEntry(title, title, level)
        canvas.drawString(60, 700 - 80 * n, title)
        canvas.drawString(60, 670 - 80 * n, FACT)
    canvas.save()
    assert read(out.getvalue(), "a.pdf").text == f"# 第一部分\n{FACT}\n## 来历\n{FACT}"


def test_a_scanned_pdf_says_so() -> None:
    with pytest.raises(ArticleError, match="扫描件"):
        read_data(pdf_file([[], []]), "a.pdf", "a.pdf")


def test_a_locked_pdf_says_so() -> None:
    with pytest.raises(ArticleError, match="密码"):
        read_data(pdf_file(password="secret"), "a.pdf", "a.pdf")


def test_junk_titles_of_programs_are_not_taken() -> None:
    assert read(pdf_file(title="Microsoft Word - 文档1.docx"), "报告.pdf").title == "报告"
    assert "author" not in read(pdf_file(author="anonymous"), "报告.pdf").meta


# --- Word, PowerPoint, books


def test_a_document_keeps_the_order_of_its_parts() -> None:
    text = read(docx_file(), "a.docx").text
    parts = ["# 来历", FACT, "- 周二闭馆", "年份：1887；事件：建成。", "## 今天", "灯塔如今是一座小型博物馆。"]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_changes_and_controls_of_a_document() -> None:
    document = docx.Document()
    document.core_properties.title = ""
    document.add_paragraph("灯塔的新名字", style="Title")
    paragraph = document.add_paragraph("保留")
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    for inner in (
        "<w:ins {w} w:id='1' w:author='x'><w:r><w:t>加上</w:t></w:r></w:ins>",
        "<w:del {w} w:id='2' w:author='x'><w:r><w:delText>删去</w:delText></w:r></w:del>",
        "<w:hyperlink {w}><w:r><w:t>链接</w:t></w:r></w:hyperlink>",
    ):
        paragraph._p.append(docx.oxml.parse_xml(inner.replace("{w}", w)))
    control = f"<w:sdt {w}><w:sdtContent><w:p><w:r><w:t>控件里的字</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    document.element.body.insert(0, docx.oxml.parse_xml(control))
    article = read(saved(document.save), "a.docx")
    assert article.title == "灯塔的新名字"
    assert "保留加上链接" in article.text
    assert "控件里的字" in article.text
    assert "删去" not in article.text


def test_slides_are_pages() -> None:
    article = read(pptx_file(), "a.pptx")
    assert [article.text[p:].split("\n")[0] for p in article.pages] == ["# 来历", "# 大事"]
    assert "年份：1954；事件：台风毁掉灯室。" in article.text
    assert "备注：讲到这里放照片。" in article.text


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    article = read(epub_file(chapters=[f"这是第{n}章的正文。" for n in range(4)]), "a.epub")
    assert article.title == "白石灯塔小史"
    assert article.meta["author"] == "周怀远"
    assert [line for line in article.text.split("\n") if line.startswith("#")] == [f"# 第{n}章" for n in range(1, 5)]


def test_a_book_under_protection_says_so() -> None:
    locks = b'<encryption><CipherReference URI="OEBPS/text/c 0.xhtml"/></encryption>'
    with pytest.raises(ArticleError, match="DRM"):
        read_data(repacked(epub_file(), {"META-INF/encryption.xml": locks}), "a.epub", "a.epub")


# --- tables


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "，"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_table_repeats_its_header(delimiter: str, encoding: str) -> None:
    rows = [["姓名", "职位", "备注"], ["周怀远", "匠人", "修建了白石灯塔的人"], ["林知远", "", "如今是博物馆的馆长。"]]
    data = "\r\n".join(delimiter.join(row) for row in rows).encode(encoding)
    article = read(data, "名单.csv")
    assert article.title == "名单"
    assert article.text == "姓名：周怀远；职位：匠人；备注：修建了白石灯塔的人。\n姓名：林知远；备注：如今是博物馆的馆长。"


def test_a_quoted_cell_holds_line_ends_and_delimiters() -> None:
    assert read('名称,说明\n灯塔,"高,白\n又""旧"""\n'.encode(), "a.csv").text == '名称：灯塔；说明：高,白 又"旧"。'


def test_a_table_without_header_stands_as_it_is() -> None:
    assert read(b"1887,31\n1954,30\n", "a.csv").text == "1887；31。\n1954；30。"


def test_a_title_above_the_header() -> None:
    data = xlsx_file((("二〇二五年销售表", None), ("产品", "数量"), ("耳机", 12.0), (None, None), ("音箱", 0.5)))
    assert read(data, "a.xlsx").text == "二〇二五年销售表\n产品：耳机；数量：12。\n产品：音箱；数量：0.5。"


def test_sheets_have_their_names() -> None:
    import datetime as dt

    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "一月"
    for row in (("日期", "完成"), (dt.date(2025, 1, 2), True)):
        book.active.append(row)
    book.create_sheet("二月").append(("空表头", "没有行"))
    text = read(saved(book.save), "a.xlsx").text
    assert text == "# 一月\n\n日期：2025-01-02；完成：是。\n\n# 二月\n\n空表头；没有行"


# --- several articles a file


def test_a_list_gives_an_article_for_each_entry() -> None:
    data = json_file(
        {"title": "甲", "content": "第一篇。"}, {"Title": "乙", "Text": "第二篇。", "date": "2024", "来源": "报纸"},
        {"title": "没有正文"}, {"body": ["一段。", "二段。"]}, "不是文章",
    )
    contents = read_data(data, "dir/a.json", "x/a.json")
    assert [(a.id, a.title, a.path) for a in contents.articles] == [
        ("dir/a.json#1", "甲", "x/a.json"), ("dir/a.json#2", "乙", "x/a.json"), ("dir/a.json#4", "a 4", "x/a.json"),
    ]
    assert contents.articles[1].meta == {"title": "乙", "date": "2024", "source": "报纸"}
    assert contents.articles[2].text == "一段。\n\n二段。"
    assert [f.path for f in contents.failures] == ["x/a.json#3", "x/a.json#5"]


@pytest.mark.parametrize("key", ["articles", "data", "items"])
def test_a_list_inside_an_object(key: str) -> None:
    assert read(json.dumps({key: [{"text": FACT}]}).encode(), "a.json").text == FACT


def test_a_single_object_has_the_id_of_its_file() -> None:
    assert read(json.dumps({"title": "甲", "content": FACT}).encode(), "a.json").id == "a.json"


def test_lines_of_json_go_on_after_a_bad_one() -> None:
    lines = '{"title":"甲","text":"第一篇。"}\n\n{坏的\n{"title":"丙","text":"第三篇。"}\n'
    for name in ("a.jsonl", "a.json"):
        contents = read_data(lines.encode(), name, name)
        assert [a.id for a in contents.articles] == [f"{name}#1", f"{name}#4"]
        assert "JSON 有错" in contents.failures[0].reason


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "big5"])
def test_names_in_an_archive_are_read_as_they_were_written(encoding: str) -> None:
    names = ["文章/綠茶的保存方法.md", "文章/白石燈塔小史（終稿）.txt"]
    contents = read_data(legacy_zip(dict.fromkeys(names, FACT.encode()), encoding), "a.zip", "x/a.zip")
    assert [a.id for a in contents.articles] == [f"a.zip/{name}" for name in names]
    assert [a.path for a in contents.articles] == [f"x/a.zip/{name}" for name in names]


def test_an_archive_of_every_format() -> None:
    files = {f"第{n}篇{suffix}": make() for n, (suffix, make) in enumerate(MADE.items()) if suffix != ".zip"}
    contents = read_data(zip_file(files | {"图.png": b"\x89PNG", "__MACOSX/._a.md": b"x", ".DS_Store": b"x"}), "a.zip", "a.zip")
    assert len(contents.articles) == len(files)
    assert all(FACT in a.text for a in contents.articles)
    assert [f.path for f in contents.failures] == ["a.zip/图.png"]


def test_ids_are_unique_and_without_suffixes(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(json_file({"text": "一。"}, {"text": "二。"}))
    (tmp_path / "a.md").write_text("三。", "utf-8")
    (tmp_path / "a.zip").write_bytes(zip_file({"b.md": "四。", "b.txt": "五。", "../b.md": "六。"}))
    (tmp_path / "v1.2.md").write_text("七。", "utf-8")
    articles, failures = load([tmp_path])
    assert not failures
    assert [a.id for a in articles] == ["a#1", "a#2", "a", "a.zip/b", "a.zip/b.txt", "a.zip/b~2", "v1.2"]
    assert [a.text.strip() for a in articles] == ["一。", "二。", "三。", "四。", "五。", "六。", "七。"]


def test_an_id_that_is_taken_gets_a_number() -> None:
    taken: set[str] = set()
    assert [unique("x/a.json#1", taken) for _ in range(3)] == ["x/a#1", "x/a.json#1", "x/a.json~2#1"]


# --- the child


def test_plain_text_needs_no_child_and_help_stays_quick(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(FACT, "utf-8")
    code = (
        "import sys; from pathlib import Path; from askai.corpus import load; import askai.formats.extractor as e\n"
        f"assert len(load([Path({str(tmp_path)!r})])[0]) == 1\n"
        "assert e.default_extractor.cache_info().currsize == 0\n"
        "assert not {'lxml', 'trafilatura', 'pypdfium2', 'docx', 'pptx', 'openpyxl'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_child_imports_nothing_heavy() -> None:
    code = (
        "import sys, askai.formats.worker, askai.formats.web, askai.formats.pdf, askai.formats.office\n"
        "assert not {'gradio', 'torch', 'faiss', 'onnxruntime', 'trafilatura'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_threads_share_one_child() -> None:
    data = {suffix: make() for suffix, make in MADE.items()}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda s: read(data[s], f"a{s}").text, [*data] * 4))
    assert all(FACT in text for text in found)


# --- any text at all

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


@settings(max_examples=150)
@given(_TEXT, st.sampled_from([".md", ".txt", ".html", ".csv", ".json", ".jsonl", ".zip"]))
def test_any_text_comes_through_every_format(text: str, suffix: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    data = {
        ".html": f"<!DOCTYPE html><meta charset=utf-8><body><p>{escaped}</p>".encode(),
        ".csv": _table([["标题", "正文"], ["甲", text]]),
        ".json": json.dumps([{"title": text[:20], "content": text}]).encode(),
        ".jsonl": json.dumps({"title": "甲", "content": text}, ensure_ascii=False).encode(),
        ".zip": zip_file({"甲.md": text}),
    }.get(suffix, text.encode())
    try:
        contents = read_data(data, f"a{suffix}", f"a{suffix}")
    except ArticleError as error:
        assert str(error).endswith("。")
        return
    for article in contents.articles:
        checked(article)
        assert article.text.count("\ufffd") <= text.count("\ufffd")


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(sorted(SUFFIXES)), st.sampled_from([b"", b"%PDF-1.7\n", b"PK\x03\x04", b"<html>"]))
def test_any_bytes_are_read_or_refused(data: bytes, suffix: str, begins: bytes) -> None:
    try:
        contents = read_data(begins + data, f"a{suffix}", f"a{suffix}")
    except ArticleError as error:
        assert str(error).endswith("。")
        return
    for article in contents.articles:
        checked(article)


def test_the_archive_module_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read_data(zip_file({"../out.md": FACT, "/tmp/out.md": FACT, "C:\\out.md": FACT}), "a.zip", "a.zip")
    assert not list(tmp_path.iterdir())
    assert zipfile.ZipFile(io.BytesIO(zip_file({"../out.md": FACT}))).namelist() == ["../out.md"]
