"""Hostile files: each is refused with a Chinese reason or read right, in time, and a good file beside it is read.

Files that need a name or a disk are below the table; those that are bytes are made in it.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from askai import corpus
from askai.corpus import load, read_articles, read_data
from askai.errors import ArticleError
from askai.formats import extractor as extraction
from askai.formats.contents import MAX_CHARACTERS, Source
from askai.formats.extractor import Extractor
from askai.formats.kinds import BY_NAME, BY_SUFFIX
from askai.types import Article
from making_files import (
    FACT,
    MADE,
    docx_file,
    epub_file,
    html_file,
    pdf_file,
    pptx_file,
    repacked,
    xlsx_file,
    zip_file,
)

SECONDS = 20
"""Time for any one of these files, on a busy machine; most need a few milliseconds."""
GOOD = "海边的好文章在这里。"
PASSWD = Path("/etc/passwd")
SECRET = "root:x:0:0"


def _bomb(name: str, size: int = 500_000_000) -> bytes:
    """A package with a member of ``size`` zeros, made without holding them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package, package.open(name, "w", force_zip64=True) as file:
        for _ in range(size // 10_000_000):
            file.write(bytes(10_000_000))
    return out.getvalue()


def _lying_bomb() -> bytes:
    """A member of 40 MB that says it has 10 bytes."""
    data = bytearray(zip_file({"a.md": "甲" * 13_000_000}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.rindex(signature) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


def _overlapping() -> bytes:
    """Ten thousand entries of the directory that all point to the same megabyte."""
    data = zip_file({"a.txt": "甲乙丙丁" * 80_000})
    start = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    entry = data[start:end]
    directory = b"".join(entry.replace(b"a.txt", b"%c.txt" % (33 + n % 90)) for n in range(9000))
    tail = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 9000, 9000, len(directory), start, 0)
    return data[:start] + directory + tail


def _link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        info = zipfile.ZipInfo("passwd.txt")
        info.external_attr = 0o120777 << 16
        package.writestr(info, str(PASSWD))
    return out.getvalue()


def _odd_names() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for name in ("a\u202e\x1b[31m\n\r.md", "\t", "", ".", "..", "//", "CON.md"):
            info = zipfile.ZipInfo("x")
            info.filename = name
            with package.open(info, "w") as file:
                file.write(FACT.encode())
    return out.getvalue()


def _encrypted() -> bytes:
    data = bytearray(zip_file({"a.md": FACT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(signature) + offset] |= 1
    return bytes(data)


def _method(number: int) -> bytes:
    data = bytearray(zip_file({"a.md": FACT}, zipfile.ZIP_STORED))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.rindex(signature) + offset
        data[at : at + 2] = struct.pack("<H", number)
    return bytes(data)


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "哈">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    + "]>"
)
OUTSIDE = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY secret SYSTEM "file://{PASSWD}">]>'


def _poisoned(data: bytes, member: str, prologue: str, reference: str) -> bytes:
    """A package with a DTD in one member and a reference to its entity in the first text."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        text = package.read(member).decode()
    text = re.sub(r"\A<\?xml[^>]*\?>|<!DOCTYPE[^>]*>", "", text)
    text = re.sub(r"(<(?:w:t|a:t|t|p|dc:title)(?: [^>]*)?>)", rf"\1{reference}", text, count=1)
    return repacked(data, {member: (prologue + text).encode()})


def _utf16(data: bytes, member: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        text = package.read(member).decode()
    return repacked(data, {member: (OUTSIDE + re.sub(r"\A<\?xml[^>]*\?>", "", text)).encode("utf-16")})


def _endless_pages() -> bytes:
    """A page tree whose node is its own child."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [2 0 R 2 0 R 3 0 R] /Count 1000000000 >>",
        b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 99999 >>",
    ]
    out, places = b"%PDF-1.7\n", []
    for n, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (n, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 4\n0000000000 65535 f \n%btrailer << /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (table, len(out))


def _pdf_bomb() -> bytes:
    """A page whose stream unpacks to half a gigabyte."""
    packed = zlib.compress(zlib.compress(b"(AAAAAAAA) Tj " * 20_000_000, 1), 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%b\nendstream" % (len(packed), packed),
    ]
    return b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n%b\nendobj\n" % (n, o) for n, o in enumerate(objects, 1)) + b"trailer << /Root 1 0 R >>"


def _claiming() -> bytes:
    """A sheet that says it has every cell, and holds the last one."""
    data = xlsx_file((("名称", "值"), ("灯塔", "31")))
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        sheet = package.read("xl/worksheets/sheet1.xml").decode()
    sheet = re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:XFD1048576"', sheet)
    last = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>尽头</t></is></c></row></sheetData>'
    return repacked(data, {"xl/worksheets/sheet1.xml": sheet.replace("</sheetData>", last).encode()})


def _document(inner: str) -> bytes:
    """A Word document with this inside its body."""
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return repacked(docx_file(), {"word/document.xml": f"<w:document {w}><w:body>{inner}</w:body></w:document>".encode()})


def _quine() -> bytes:
    """An archive that holds an archive of its own name, many times over."""
    data = zip_file({"好.md": FACT})
    for _ in range(30):
        data = zip_file({"r.zip": data, "r/r.zip": data})
    return data


HOSTILE: Mapping[str, tuple[str, Callable[[], bytes], str | None]] = {
    # name: (file name, its bytes, text that must be read; None where it must be refused)
    "zip bomb": ("a.zip", lambda: _bomb("a.txt"), None),
    "zip bomb of a document": ("a.docx", lambda: _bomb("word/document.xml"), None),
    "zip bomb that lies": ("a.zip", _lying_bomb, None),
    "zip of overlapping entries": ("a.zip", _overlapping, None),
    "zip in a zip": ("a.zip", lambda: zip_file({"b.zip": MADE[".zip"](), "好.md": FACT}), FACT),
    "zip in a zip alone": ("a.zip", lambda: zip_file({"b.zip": MADE[".zip"]()}), None),
    "zip of zips of zips": ("a.zip", _quine, None),
    "zip with a way out": ("a.zip", lambda: zip_file({"../../../../tmp/out.md": FACT}), FACT),
    "zip with a root": ("a.zip", lambda: zip_file({"/etc/out.md": FACT}), FACT),
    "zip with a drive": ("a.zip", lambda: zip_file({"C:\\Windows\\out.md": FACT}), FACT),
    "zip with long names": ("a.zip", lambda: zip_file({"长" * 300 + ".md": FACT, "a/" * 3000 + "b.md": FACT}), FACT),
    "zip with odd names": ("a.zip", _odd_names, FACT),
    "zip with a link": ("a.zip", _link, None),
    "zip with a password": ("a.zip", _encrypted, None),
    "zip with an unknown method": ("a.zip", lambda: _method(97), None),
    "zip of too many": ("a.zip", lambda: zip_file({f"{n}.md": b"" for n in range(10_001)}, zipfile.ZIP_STORED), None),
    "zip of nothing": ("a.zip", lambda: zip_file({}), None),
    "zip of the same name": ("a.zip", lambda: MADE[".zip"]().replace(b"PK\x01\x02", b"PK\x01\x02", 1), FACT),
    "zip with a good and a bad pdf": ("a.zip", lambda: zip_file({"坏.pdf": pdf_file()[:300], "好.md": FACT}), FACT),
    "pdf with a password": ("a.pdf", lambda: pdf_file(password="x"), None),
    "pdf with endless pages": ("a.pdf", _endless_pages, None),
    "pdf bomb": ("a.pdf", _pdf_bomb, None),
    "pdf of a header": ("a.pdf", lambda: b"%PDF-1.7\n", None),
    "pdf after rubbish": ("a.pdf", lambda: b"\n\n<!-- -->" + pdf_file(), FACT),
    "pdf of deep arrays": ("a.pdf", lambda: b"%PDF-1.7\n1 0 obj\n" + b"[" * 200_000 + b"\nendobj\ntrailer << /Root 1 0 R >>", None),
    "html and pdf in one": ("a.html", lambda: html_file() + pdf_file(), ""),
    "zip and html in one": ("a.html", lambda: html_file() + MADE[".zip"](), ""),
    "pdf and zip in one": ("a.zip", lambda: pdf_file() + MADE[".zip"](), FACT),
    "exe and zip in one": ("a.zip", lambda: b"MZ" + bytes(100) + MADE[".zip"](), None),
    "laughs in docx": ("a.docx", lambda: _poisoned(docx_file(), "word/document.xml", LAUGHS, "&a11;"), None),
    "laughs in pptx": ("a.pptx", lambda: _poisoned(pptx_file(), "ppt/slides/slide1.xml", LAUGHS, "&a11;"), None),
    "laughs in xlsx": ("a.xlsx", lambda: _poisoned(xlsx_file(), "xl/worksheets/sheet1.xml", LAUGHS, "&a11;"), None),
    "laughs in epub": ("a.epub", lambda: _poisoned(epub_file(), "OEBPS/text/c 0.xhtml", LAUGHS, "&a11;"), None),
    "laughs in the epub's package": ("a.epub", lambda: _poisoned(epub_file(), "OEBPS/book.opf", LAUGHS, "&a11;"), None),
    "laughs in xhtml": ("a.xhtml", f'{LAUGHS}<html xmlns="http://www.w3.org/1999/xhtml"><body><p>{FACT}&a11;</p></body></html>'.encode, FACT),
    "entity from outside in docx": ("a.docx", lambda: _poisoned(docx_file(), "word/document.xml", OUTSIDE, "&secret;"), None),
    "entity from outside in pptx": ("a.pptx", lambda: _poisoned(pptx_file(), "ppt/slides/slide1.xml", OUTSIDE, "&secret;"), None),
    "entity from outside in xlsx": ("a.xlsx", lambda: _poisoned(xlsx_file(), "xl/worksheets/sheet1.xml", OUTSIDE, "&secret;"), None),
    "entity from outside in epub": ("a.epub", lambda: _poisoned(epub_file(), "OEBPS/text/c 0.xhtml", OUTSIDE, "&secret;"), None),
    "entity from outside in xhtml": ("a.xhtml", f"{OUTSIDE}<html><body><p>{FACT}&secret;</p></body></html>".encode, FACT),
    "entity from outside in utf-16": ("a.docx", lambda: _utf16(docx_file(), "word/document.xml"), None),
    "external dtd in epub": ("a.epub", lambda: _poisoned(epub_file(), "OEBPS/text/c 0.xhtml", f'<!DOCTYPE html SYSTEM "file://{PASSWD}">', ""), FACT),
    "include in docx": ("a.docx", lambda: _document(f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="file://{PASSWD}"/><w:p><w:r><w:t>{FACT}</w:t></w:r></w:p>'), FACT),
    "frame in html": ("a.html", lambda: html_file(body=f'{FACT}<iframe src="file://{PASSWD}"></iframe><object data="file://{PASSWD}"></object>'), FACT),
    "deep docx": ("a.docx", lambda: _document("<w:sdt><w:sdtContent>" * 100_000), None),
    "deep html": ("a.html", lambda: b"<div>" * 100_000 + FACT.encode(), None),
    "rather deep html": ("a.html", lambda: b"<div>" * 1500 + f"<p>{FACT}</p>".encode(), FACT),
    "unclosed html": ("a.html", lambda: f"<p>{FACT}".encode() + b"<b><i><a><table><tr><td>" * 300, FACT),
    "a million attributes": ("a.html", lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(1_000_000)) + b">x</p>", None),
    "a million tags": ("a.html", lambda: f"<p>{FACT}</p>".encode() + b"<br><hr><b>" * 400_000, None),
    "open comment": ("a.html", lambda: f"<p>{FACT}</p>".encode() + b"<!--" * 1_000_000, FACT),
    "script that never ends": ("a.html", lambda: f"<p>{FACT}</p><script>".encode() + b"</scrip" * 1_000_000, FACT),
    "html of nuls": ("a.html", lambda: f"<p>{FACT}</p>".encode() + b"\0" * 100_000, ""),
    "deep json": ("a.json", lambda: b"[" * 100_000 + b"]" * 100_000, None),
    "deep json objects": ("a.json", lambda: b'{"a":' * 100_000, None),
    "deep jsonl": ("a.jsonl", lambda: b"[" * 100_000 + b"\n" + json.dumps({"text": FACT}).encode(), FACT),
    "huge numbers": ("a.json", lambda: b'[{"n":' + b"9" * 3_000_000 + b',"m":1e999999999,"text":"' + FACT.encode() + b'"}]', FACT),
    "half characters in json": ("a.json", lambda: b'[{"title":"\\ud800","text":"\\udfff\\u0000' + FACT.encode() + b'"}]', FACT),
    "not a number": ("a.json", lambda: b'[{"date":NaN,"text":"' + FACT.encode() + b'","url":-Infinity}]', FACT),
    "json of numbers": ("a.json", lambda: b"[" + b"1," * 1_000_000 + b"1]", None),
    "json of empty lists": ("a.json", lambda: b"[" + b"[]," * 6_000_000 + b"[]]", None),
    "a million columns": ("a.csv", lambda: b"a," * 1_000_000 + b"\n", None),
    "table with a huge header": ("a.csv", ("名" * 300_000 + ",乙\n" + "1,2\n" * 300_000).encode, None),
    "open quote": ("a.csv", lambda: f'名称,值\n{FACT},1\n甲,"'.encode() + b"x,\n" * 1_000_000, FACT),
    "sheet that claims every cell": ("a.xlsx", _claiming, "名称：灯塔；值：31。"),
    "reference loop": ("a.xlsx", lambda: repacked(xlsx_file(), {"xl/_rels/workbook.xml.rels": b"<Relationships/>"}), None),
    "marks that turn the writing": ("a.md", f"\u202e{FACT}\u202c\u2066左\u2069".encode, FACT),
    "zero width": ("a.html", lambda: html_file(body=FACT + "零\u200b宽\u200d度\u2060"), FACT),
    "nuls in text": ("a.txt", lambda: b"\0".join([FACT.encode()] * 3), None),
    "text of controls": ("a.md", lambda: bytes(range(1, 32)) * 500, None),
    "one long line": ("a.txt", lambda: b"x" * 20_000_000, "x" * 1000),
    "too long a line": ("a.txt", lambda: b"x" * 100_000_000, None),
    "image as text": ("a.md", lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, None),
    "program as page": ("a.html", lambda: b"\x7fELF" + bytes(range(256)) * 100, None),
    "old office": ("a.docx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000), None),
    "nothing": ("a.epub", lambda: b"", None),
    "spaces": ("a.json", lambda: b" \n" * 500, None),
} | {
    f"half a{suffix}": (f"a{suffix}", lambda s=suffix: MADE[s]()[: len(MADE[s]()) // 2], None)
    for suffix in (".pdf", ".docx", ".pptx", ".xlsx", ".epub", ".zip", ".json", ".jsonl")
} | {
    f"a little wrong{suffix}": (f"a{suffix}", lambda s=suffix: _scratched(MADE[s]()), "")
    for suffix in (".pdf", ".docx", ".pptx", ".xlsx", ".epub", ".zip")
}


def _scratched(data: bytes) -> bytes:
    """Every fiftieth byte of the first half wrong."""
    return bytes(b ^ 0x55 if n % 50 == 49 and n < len(data) // 2 else b for n, b in enumerate(data))


def sound(article: Article) -> None:
    article.text.encode("utf-8")
    article.title.encode("utf-8")
    assert "\0" not in article.text
    assert SECRET not in article.text
    assert len(article.text) <= MAX_CHARACTERS + 1000
    assert ".." not in article.path.split("/")
    assert article.text.count("\ufffd") == 0


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    read_data(MADE[".html"](), "a.html", "a.html")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file(name: str, tmp_path: Path) -> None:
    called, make, wanted = HOSTILE[name]
    (tmp_path / f"x-{called}").write_bytes(make())
    (tmp_path / "z-好.html").write_bytes(html_file(body=GOOD))
    begun = time.perf_counter()
    articles, failures = load([tmp_path])
    assert time.perf_counter() - begun < SECONDS
    good = [a for a in articles if a.id == "z-好"]
    assert len(good) == 1
    assert GOOD in good[0].text
    found = [a for a in articles if a.id != "z-好"]
    for article in found:
        sound(article)
    for failure in failures:
        assert re.search("[\u4e00-\u9fff].*。$", failure.reason, re.DOTALL), failure
        assert "Traceback" not in failure.reason
    if wanted is None:
        assert not found
        assert failures
    elif wanted:
        assert any(wanted in a.text for a in found), (failures, [a.text[:200] for a in found])
    else:
        assert found or failures


# --- files that are not files


def _refused(path: Path, match: str = "。") -> None:
    """Refused in words, without waiting; a thread watches, since a read that blocks cannot be interrupted."""
    outcome: list[BaseException] = []

    def attempt() -> None:
        try:
            read_articles(path, path.name)
        except ArticleError as error:
            outcome.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits"
    assert outcome
    assert re.search(match, str(outcome[0]))


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
@pytest.mark.parametrize("suffix", [".txt", ".pdf"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / "好.md").write_text(GOOD, "utf-8")
    _refused(tmp_path / f"pipe{suffix}", "普通文件")
    assert [a.id for a in load([tmp_path])[0]] == ["好"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices there")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/dev/random"])
def test_a_device_is_not_read(tmp_path: Path, device: str) -> None:
    (tmp_path / "device.txt").symlink_to(device)
    _refused(tmp_path / "device.txt")
    assert load([tmp_path]) == ([], [])


def test_links_that_lead_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to(tmp_path / "b.md")
    (tmp_path / "b.md").symlink_to(tmp_path / "a.md")
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "好.md").write_text(GOOD, "utf-8")
    _refused(tmp_path / "a.md", "无法读取")
    assert [a.id for a in load([tmp_path])[0]] == ["好"]


def test_a_folder_with_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").mkdir()
    _refused(tmp_path / "a.pdf")
    assert load([tmp_path]) == ([], [])


def test_a_file_that_is_gone_or_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _refused(tmp_path / "gone.pdf", "无法读取")
    (tmp_path / "a.md").write_text("甲。", "utf-8")
    (tmp_path / "好.md").write_text(GOOD, "utf-8")
    real = corpus.find_files

    def vanishing(roots: list[Path]) -> Iterator[tuple[Path, str]]:
        for path, id in real(roots):
            if id == "a.md":
                path.unlink()
            yield path, id

    monkeypatch.setattr(corpus, "find_files", vanishing)
    articles, failures = load([tmp_path])
    assert [a.id for a in articles] == ["好"]
    assert "无法读取" in failures[0].reason


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="for root every file is open")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("甲。", "utf-8")
    (tmp_path / "a.md").chmod(0)
    _refused(tmp_path / "a.md", "权限")


def test_a_file_that_grows_is_cut_off_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 50_000_000)
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result((real(handle).st_mode, *[0] * 9)))
    _refused(tmp_path / "a.txt", "上限")


@pytest.mark.parametrize("suffix", sorted(BY_SUFFIX))
def test_every_kind_has_its_limit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as file:
        file.truncate(BY_SUFFIX[suffix].limit + 1)
    begun = time.perf_counter()
    _refused(path, "上限")
    assert time.perf_counter() - begun < 1


# --- a child that hangs, crashes or eats

ASKED = Source("a.html", "a.html", "a")
SLOW = _pdf_bomb()
"""Too much work for a second."""


@pytest.fixture
def impatient() -> Iterator[Extractor]:
    made = Extractor(seconds=1, memory=1_500_000_000)
    yield made
    made.close()


def test_a_file_that_takes_too_long_is_stopped(impatient: Extractor) -> None:
    impatient.read(BY_NAME["json"], MADE[".json"](), ASKED)
    begun = time.perf_counter()
    with pytest.raises(ArticleError, match="1 秒还没读完"):
        impatient.read(BY_NAME["pdf"], SLOW, ASKED)
    assert time.perf_counter() - begun < 5
    assert impatient.read(BY_NAME["json"], MADE[".json"](), ASKED).articles, "the next file has a child again"


def test_a_member_that_hangs_costs_itself_alone(impatient: Extractor) -> None:
    data = zip_file({"1.json": MADE[".json"](), "2.pdf": SLOW, "3.json": MADE[".json"](), "4.pdf": SLOW, "5.csv": "甲,乙\n1,2"}, zipfile.ZIP_STORED)
    contents = impatient.read(BY_NAME["zip"], data, Source("a.zip", "a.zip", "a"))
    assert [a.path for a in contents.articles] == ["a.zip/1.json", "a.zip/3.json", "a.zip/5.csv"]
    assert [f.path for f in contents.failures] == ["a.zip/2.pdf", "a.zip/4.pdf"]


def test_an_archive_full_of_trouble_is_given_up(impatient: Extractor) -> None:
    data = zip_file({f"{n}.pdf": SLOW for n in range(9)} | {"z.json": MADE[".json"]()}, zipfile.ZIP_STORED)
    contents = impatient.read(BY_NAME["zip"], data, Source("a.zip", "a.zip", "a"))
    assert not contents.articles
    assert len(contents.failures) == 6
    assert "其余没有读" in contents.failures[-1].reason


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound memory this way")
def test_memory_is_bounded() -> None:
    small = Extractor(memory=150_000_000)
    with pytest.raises(ArticleError, match="内存"):
        small.read(BY_NAME["json"], b"[" + b"[]," * 6_000_000 + b"[]]", ASKED)
    assert small.read(BY_NAME["json"], MADE[".json"](), ASKED).articles
    small.close()


def test_a_child_that_dies_is_replaced(impatient: Extractor) -> None:
    for _ in range(3):
        assert impatient.read(BY_NAME["json"], MADE[".json"](), ASKED).articles
        assert impatient._child is not None
        impatient._child.kill()


@pytest.mark.parametrize(
    "answer",
    [b"not json", b"[]", b'{"articles":[{}],"failures":[]}', b'{"articles":[{"id":1}]}', b"",
     b'{"articles":[{"id":"a","title":"a","path":"a","text":"a","meta":{},"pages":[9]}],"failures":[]}',
     b'{"articles":[{"id":"a","title":"a","path":"a","text":"a","meta":{"x":{}},"pages":[]}],"failures":[]}'],
)
def test_a_child_that_has_been_taken_over_is_not_believed(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys\n"
        f"answers = [b'{{\"ready\":true}}', {answer!r}]\n"
        "for a in answers:\n"
        "    sys.stdout.buffer.write(len(a).to_bytes(8, 'big') + a); sys.stdout.buffer.flush()\n"
        "sys.stdin.buffer.read()"
    )
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **more: real([sys.executable, "-c", code], **more))
    false = Extractor(seconds=3)
    with pytest.raises(ArticleError, match="解析程序"):
        false.read(BY_NAME["json"], b"[]", ASKED)
    false.close()


def test_the_child_ends_with_askai() -> None:
    code = (
        "import os\nfrom askai.corpus import read_data\nfrom askai.formats.extractor import default_extractor\n"
        "read_data(b'[{\"text\":\"a\"}]', 'a.json', 'a.json')\n"
        "print(default_extractor()._child.pid, flush=True)\nos._exit(9)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).stdout)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
    else:
        pytest.fail("the child goes on alone")
    assert extraction.SECONDS == 30
