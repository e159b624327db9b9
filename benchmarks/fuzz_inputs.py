"""Inputs for ``fuzz.py``: seeds of every kind of file, and small mutators over them.

Everything is drawn from the ``random.Random`` that is handed in: the same one gives the same input.
"""

from __future__ import annotations

import io
import json
import random
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from making import CORPUS, HOSTILE_QUESTIONS, HOSTILE_TEXTS
from making_files import MADE, epub_file, html_file, json_file, pdf_file, xlsx_file, zip_file

LONGEST = 4000
"""Characters of a text at the most; one in forty is up to ten times as long."""

# Where characters are drawn from: what people write, and what breaks programs.
_RANGES = (
    (0x20, 0x7E), (0x4E00, 0x9FFF), (0x4E00, 0x9FFF), (0x3000, 0x303F), (0xFF00, 0xFFEF), (0, 0x1F), (0x7F, 0x9F),
    (0xA0, 0x2FF), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0xE7F), (0x1100, 0x11FF), (0xAC00, 0xD7A3),
    (0x2000, 0x206F), (0x20A0, 0x20FF), (0x2100, 0x27BF), (0x2E80, 0x2FDF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
    (0xE000, 0xF8FF), (0xF900, 0xFAFF), (0xFE00, 0xFE2F), (0x1F000, 0x1FAFF), (0x20000, 0x323AF), (0xE0000, 0xE01EF),
    (0xD800, 0xDFFF), (0, 0x10FFFF),
)
# Pieces with a meaning to some part of askai.
TOKENS = (
    "---\n", "---\ntitle: ", "...\n", "\n---\n", "title: 题\n", "# ", "## ", "###### ", "\n\n", "\r\n", "\r", "\f", "\v", "\u2028",
    "。", "！", "？", "……", "；", "，", "：", "、", "」", "”", "）》", "\"", "'", "*", "**", "_", "~", "`", "|", "- ", "1. ", "（一）",
    "?", "!", ".", ". ", "3.5", "1,299", "12:30", "v5.2", "GPT-5.2", "5G", "3D", "https://a.cn/?id=1!2", "U.S.", "J. ",
    "问：", "答：", "Q1：", "他", "它呢", "那", "呢？", "总结一下《", "》", "什么时候", "谁", "多少", "你好", "谢谢", "有哪些文章", "\u0301",
    "\ufe0f", "\ufe00", "\u200d", "\u200b", "\ufeff", "\u202e", "\u2066", "\u3000", "\xa0", "\x00", "\x1b[31m", "\x85", "\ud83d", "\ude00",
    "👨‍👩‍👧", "🏳️‍🌈", "é", "㎡", "ﷺ", "İ", "ß", "ﬁ", "𠮷", "臺", "乾", "ｶﾞ", "&", "*x", "!!python/object:os.system", "{", "}", "[", "]",
    "@", "%", "\t", "\\", "<<: *a", "? ", ": ", ":\n", "- - - ", "a" * 300, "甲" * 400, " " * 300, "\n" * 300, "“" * 100, "(" * 100,
)
_HTML = (
    "<p>", "</p>", "<div>", "</div>", "<table><tr><td>", "</table>", "<pre>", "<br/>", "<ul><li>", "</ul>", "<!--", "-->", "<script>",
    "</script>", "<style>", "<template>", "<svg>", "<math>", "<h1>", "</h1>", "<title>", "<meta charset=gbk>", "<meta name=date content=",
    "<![CDATA[", "]]>", "&#0;", "&#xD800;", "&#x110000;", "&#128512;", "&nbsp", "&amp;lt;", "<a href='", "style=\"display:none\"", "<ol>",
    "<base href=x>", "<iframe>", "<noscript>", "<time datetime='2024-01-01'>", '<script type="application/ld+json">{"headline":["a"]}</script>',
    "<?xml version='1.0' encoding='big5'?>", "<!DOCTYPE html [", "<html>", "</body>", "<frameset>", "<head>", "<body><body>", "<math><mi>",
)
_NUMBERS = (b"0", b"-1", b"1", b"65535", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e999", b"NaN", b"")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_ENCODINGS = ("utf-8", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32")


@cache
def texts() -> Sequence[str]:
    """The articles that ship, their paragraphs, and texts that once broke something."""
    articles = [path.read_text("utf-8") for path in sorted(CORPUS.glob("*.md"))]
    pieces = [piece for text in articles for piece in text.split("\n\n")]
    return (*articles, *pieces, *HOSTILE_TEXTS.values())


@cache
def questions() -> Sequence[str]:
    """Questions of people and of people who mean no good."""
    written = sorted((CORPUS.parent / "training" / "data" / "questions").glob("*/pairs-*.tsv"))
    lines = [line for path in written for line in path.read_text("utf-8").split("\n")[:100] if not line.startswith("#")]
    asked = [line.split("\t")[0] for line in lines]
    common = (
        "他是谁？", "那 Sora 2 呢？", "谁在主导 Vibes 项目？", "5G 手机多少钱？", "PPR-9087 支持哪些纸张？", "总结一下《阳台种番茄》", "你好",
        "有哪些文章？", "为什么？", "它什么时候发布的", "《大运河》讲了什么？", "综合工时制的加班费怎么算", "12:30 开卖吗", "C++ 和 C# 哪个好",
    )
    return (*common, *HOSTILE_QUESTIONS, *filter(None, asked))


@cache
def files() -> Mapping[str, Sequence[bytes]]:
    """Good files by kind; every one of them is read without a refusal."""
    table = "名称,价格,说明\n标准版,699,\"带引号，和逗号\"\n加大版,829,\n"
    rows = (("名称", "价格", "日期"), ("标准版", 699, None), ("加大版", 829.5, True), ("=1+1", "2024-01-01", 0))
    listed = json_file({"title": "一", "content": "甲乙。", "date": "2024"}, {"标题": "二", "正文": ["丙", "丁"]})
    one = {kind.lstrip("."): (make(),) for kind, make in MADE.items()}
    return one | {
        "html": (*one["html"], html_file(head='<meta property="og:title" content="题"><meta name="author" content="甲">'),
                 "<html><body><table><tr><td><p>一</p></td><td>二</td></tr></table><pre>甲  乙</pre></body></html>".encode("gbk")),
        "csv": (*one["csv"], table.encode(), table.replace(",", "\t").encode("gb18030"), table.replace(",", "；").encode("utf-16")),
        "json": (*one["json"], listed, b'{"data": ' + listed + b"}", '{"title": "甲", "text": "乙丙丁"}'.encode()),
        "jsonl": (*one["jsonl"], '{"title":"甲","text":"乙"}\n\n{"text":"丙"}\n'.encode()),
        "pdf": (*one["pdf"], pdf_file([["第一页的文字。", "第二行"], ["第二页。"], ["第三页在这里。"]], title="题")),
        "xlsx": (*one["xlsx"], xlsx_file(rows, "表")),
        "epub": (*one["epub"], epub_file(chapters=("一" * 50, "<b>二</b>&copy;", "三"))),
        "zip": (*one["zip"], zip_file({"a.md": "甲。", "b/c.json": json_file(), "页.html": html_file(), "d.docx": one["docx"][0]})),
    }  # fmt: skip


def character(dice: random.Random) -> str:
    low, high = dice.choice(_RANGES)
    return chr(dice.randint(low, high))


def unicode_text(dice: random.Random, most: int) -> str:
    """Random Unicode: runs out of one range, single characters and meaningful pieces, in turn."""
    parts: list[str] = []
    size = 0
    length = int(most ** dice.random())
    while size < length:
        kind = dice.random()
        if kind < 0.35:
            part = dice.choice(TOKENS)
        elif kind < 0.7:
            low, high = dice.choice(_RANGES)
            part = "".join(chr(dice.randint(low, high)) for _ in range(dice.randint(1, 12)))
        else:
            part = character(dice) * int(200 ** dice.random() ** 3)
        parts.append(part)
        size += len(part)
    return "".join(parts)[:length]


def _span(dice: random.Random, size: int) -> tuple[int, int]:
    start = dice.randint(0, size)
    return start, min(size, start + int(max(1, size) ** dice.random()))


def mutate_text(dice: random.Random, text: str, tokens: Sequence[str] = TOKENS) -> str:
    """One to eight small changes: insert, delete, repeat, move, replace, shuffle lines, splice another text."""
    for _ in range(int(8 ** dice.random())):
        a, b = _span(dice, len(text))
        kind = dice.randrange(8)
        if kind == 0:
            text = text[:a] + dice.choice(tokens) + text[a:]
        elif kind == 1:
            text = text[:a] + text[b:]
        elif kind == 2:
            text = text[:a] + text[a:b] * dice.randint(2, 6) + text[b:]
        elif kind == 3:
            text = text[:a] + character(dice) + text[a + 1 :]
        elif kind == 4:
            text = text[b:] + text[a:b] + text[:a]
        elif kind == 5:
            text = text[:a] + unicode_text(dice, 40) + text[b:]
        elif kind == 6:
            lines = _LINES.findall(text)
            dice.shuffle(lines)
            text = "".join(lines)
        else:
            other = dice.choice(texts())
            c, d = _span(dice, len(other))
            text = text[:a] + other[c:d] + text[a:]
    return text


def text_input(dice: random.Random, tokens: Sequence[str] = TOKENS) -> str:
    """A mutated seed, or random Unicode."""
    most = LONGEST * 10 if dice.random() < 0.025 else LONGEST
    if dice.random() < 0.4:
        return unicode_text(dice, most)
    return mutate_text(dice, dice.choice(texts()), tokens)[:most]


def question_input(dice: random.Random) -> str:
    """A question of up to the 1,000 characters that askai takes."""
    if dice.random() < 0.3:
        return unicode_text(dice, 1000)
    return mutate_text(dice, dice.choice(questions()))[:1000]


def mutate_bytes(dice: random.Random, data: bytes) -> bytes:
    """One to eight small changes: bits, bytes, numbers, cuts, repeats."""
    out = bytearray(data)
    for _ in range(int(8 ** dice.random())):
        a, b = _span(dice, len(out))
        kind = dice.randrange(8)
        if kind == 0 and out:
            out[a - 1] ^= 1 << dice.randrange(8)
        elif kind == 1:
            out[a:a] = dice.randbytes(dice.randint(1, 8))
        elif kind == 2:
            del out[a:b]
        elif kind == 3:
            out[a:a] = bytes(out[a:b])[:2000] * dice.randint(1, 4)
        elif kind == 4:
            out[a : a + 4] = dice.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x01\0\0\0", b"\0\x10\0\0"))
        elif kind == 5:
            numbers = list(re.finditer(rb"\d+", bytes(out[:100_000])))
            if numbers:
                found = dice.choice(numbers)
                out[found.start() : found.end()] = dice.choice(_NUMBERS)
        elif kind == 6 and dice.random() < 0.3:
            del out[a:]
        else:
            out[a : a + 1] = dice.choice((b"\0", b"\x80", b"\xff", b"\x1b", b"<", b">", b"/", b"(", b"[", b"&"))
    return bytes(out)


def encoded(dice: random.Random, text: str) -> bytes:
    """Text in one of the encodings that askai knows; what an encoding does not have is left out."""
    return text.encode(dice.choice(_ENCODINGS), "ignore")


def text_bytes(dice: random.Random) -> bytes:
    """Bytes of a text file: encoded text, mostly whole, sometimes damaged; or noise."""
    kind = dice.random()
    if kind < 0.05:
        return dice.randbytes(dice.randint(0, 300))
    data = encoded(dice, text_input(dice))
    return data if kind < 0.6 else mutate_bytes(dice, data)


_KEYS = (
    "title", "content", "text", "body", "正文", "标题", "date", "author", "url", "TEXT", "articles", "data", "", "other", "\ud800",
)


def _json_value(dice: random.Random, depth: int = 0) -> object:
    kind = dice.random()
    if kind < 0.55:
        return mutate_text(dice, dice.choice(texts()))[:500] if kind < 0.2 else unicode_text(dice, 80)
    if kind < 0.7:
        return dice.choice((None, True, 0, -1, 1.5, 10**30, [], {}, "", " ", "甲"))
    if depth > 3:
        return "乙"
    if kind < 0.85:
        return [_json_value(dice, depth + 1) for _ in range(dice.randint(0, 4))]
    return _entry(dice, depth + 1)


def _entry(dice: random.Random, depth: int = 0) -> dict[str, object]:
    return {dice.choice(_KEYS): _json_value(dice, depth + 1) for _ in range(dice.randint(1, 6))}


def json_input(dice: random.Random, kind: str) -> bytes:
    """JSON that parses: articles with odd keys and values, half characters spelt out; or damaged JSON."""
    if dice.random() < 0.4:
        return markup_input(dice, kind)
    entries = [_entry(dice) for _ in range(dice.randint(1, 5))]
    if kind == "jsonl":
        return "\n".join(json.dumps(entry) for entry in entries).encode()
    whole = dice.choice((entries, entries[0], {"articles": entries}, {"data": entries, "title": "题"}))
    return json.dumps(whole, ensure_ascii=dice.random() < 0.7).encode("utf-8", "backslashreplace")


def markup_input(dice: random.Random, kind: str) -> bytes:
    """A page, table or JSON text, mutated as text or as bytes."""
    seed = dice.choice(files()[kind])
    if dice.random() < 0.3:
        return mutate_bytes(dice, seed)
    text = next(seed.decode(e) for e in ("utf-8", "gbk", "utf-16") if _decodes(seed, e))
    tokens = {"html": (*_HTML, *TOKENS), "csv": (",", "\t", '"', '""', "\n", "；", "|", *TOKENS)}.get(
        kind, ('"', "\\u", "\\ud800", "null", "[[", "{}", ",", ":", '"text":', '"title":', "1e9999", *TOKENS)
    )
    text = mutate_text(dice, text, tokens)[:20_000]
    return text.encode("utf-8", "surrogatepass") if dice.random() < 0.8 else encoded(dice, text)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def binary_input(dice: random.Random, kind: str) -> bytes:
    """A PDF or package with damaged bytes; of a package mostly the bytes of its members before packing."""
    seed = dice.choice(files()[kind])
    if kind == "pdf" or dice.random() < 0.15:
        return mutate_bytes(dice, seed)
    members = dict(_members(seed))
    for _ in range(int(4 ** dice.random())):
        # The text of a package lies in few of its members: those are taken more often.
        names = [name for name in members if re.search(r"document|slide\d|sheet|opf|xhtml|workbook|md$|html$|styles", name)]
        name = dice.choice(names if names and dice.random() < 0.7 else list(members))
        members[name] = _mutate_xml(dice, members[name])
    if dice.random() < 0.1:
        members.pop(dice.choice(list(members)))
    return zip_file(members, zipfile.ZIP_STORED)


@cache
def _members(seed: bytes) -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(seed)) as package:
        return tuple((name, package.read(name)) for name in package.namelist())


def _mutate_xml(dice: random.Random, data: bytes) -> bytes:
    """Elements taken out, doubled, nested or swapped, so that most of it still parses; else bytes."""
    tags = list(re.finditer(rb"<[^<>]{1,300}>", data[:200_000]))
    if not tags or dice.random() < 0.2:
        return mutate_bytes(dice, data)
    tag, other = dice.choice(tags), dice.choice(tags)
    kind = dice.randrange(6)
    if kind == 0:
        return data[: tag.start()] + data[tag.end() :]
    if kind == 1:
        return data[: tag.end()] + other.group() + data[tag.end() :]
    if kind == 2:
        return data[: tag.start()] + other.group() + data[tag.end() :]
    values = list(re.finditer(rb'="([^"]*)"', data[:200_000]))
    if kind < 5 and values:
        value = dice.choice(values)
        new = dice.choice((*_NUMBERS, b"x", b"../../x", "题".encode(), dice.choice(values).group(1)))
        return data[: value.start(1)] + new + data[value.end(1) :]
    word = dice.choice(TOKENS).encode("utf-8", "ignore").replace(b"<", b"").replace(b"&", b"")
    return data[: tag.end()] + word + data[tag.end() :]
