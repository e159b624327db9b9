"""Files to articles: encodings, what is skipped and why, front matter, titles, names."""

from __future__ import annotations

import codecs
import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from askai import corpus
from askai.corpus import decode, load, parse, read_article
from askai.errors import ArticleError, InputError
from askai.types import Article

SIMPLIFIED = (
    "青禾声学在11月30日发布了星河三号耳机，售价￥1,299。", "灯塔在2003年停止使用，如今是一座小型博物馆。", "他说：“我们自己设计了芯片。”",
    "绿茶最好放进冰箱冷藏，要密封避光。", "这项研究的作者来自三所大学，一共做了两年。", "如果打印头堵塞，请选择“清洁”并等候三分钟。",
)
TRADITIONAL = (
    "綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜。", "燈塔在一九五四年的颱風裡失去了燈室，兩年後重建。", "他說：「我們自己設計了晶片。」",
    "這項研究的作者來自三所大學，一共做了兩年。", "如果印表機堵塞，請選擇清潔並等候三分鐘。", "會議決定從下個月開始實施新的辦法。",
)
LEGACY = [
    ("gb18030", SIMPLIFIED), ("gb18030", TRADITIONAL), ("big5", TRADITIONAL),
    ("utf-16-le", SIMPLIFIED), ("utf-16-be", SIMPLIFIED), ("utf-16-le", TRADITIONAL), ("utf-16-be", TRADITIONAL),
]
BOMS = [
    ("utf-8-sig", b""), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
    ("utf-32-le", codecs.BOM_UTF32_LE), ("utf-32-be", codecs.BOM_UTF32_BE),
]


def made(text: str) -> Article:
    return parse(text, id="a", path="a.md", stem="文件名")


@pytest.mark.parametrize(("encoding", "sentences"), LEGACY)
@given(data=st.data())
def test_legacy_encodings_are_recognised(encoding: str, sentences: tuple[str, ...], data: st.DataObject) -> None:
    # Built from whole sentences, so nothing has to be filtered out and every example counts.
    text = "\n".join(data.draw(st.lists(st.sampled_from(sentences), min_size=1, max_size=30)))
    encoded = text.encode(encoding)
    assert encoded != text.encode("utf-8")
    assert decode(encoded) == text


@pytest.mark.parametrize(("encoding", "sentences"), LEGACY)
def test_each_sentence_alone_is_recognised(encoding: str, sentences: tuple[str, ...]) -> None:
    assert [decode(s.encode(encoding)) for s in sentences] == list(sentences)


@pytest.mark.parametrize(("encoding", "bom"), BOMS)
@given(st.lists(st.sampled_from(SIMPLIFIED + TRADITIONAL + ("plain ASCII", "表情👩‍👧")), min_size=1).map("\n".join))
def test_a_bom_is_believed_and_dropped(encoding: str, bom: bytes, text: str) -> None:
    assert decode(bom + text.encode(encoding)) == text


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and text.strip()))
@example("好")
@example("\x85x")
@example("\ufeff\ufeff\ufeff好")  # files put one after the other
def test_utf8_comes_before_everything_else(text: str) -> None:
    assert decode(text.encode("utf-8")) == text.lstrip("\ufeff")


@given(st.binary(max_size=400))
@example(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01")
@example(bytes(range(256)) * 4)
def test_no_byte_is_ever_replaced(data: bytes) -> None:
    try:
        text = decode(data)
    except ArticleError:
        return
    # Read back with nothing ignored or replaced, the bytes give that text in some encoding.
    readings = set()
    for encoding in ("utf-8-sig", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        with contextlib.suppress(UnicodeDecodeError):
            readings.add(data.decode(encoding))
    assert text in readings


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x06\0\0\0" + bytes(range(200)),
        b"\x7fELF\x02\x01\x01" + b"\0" * 60,
        b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0" + bytes(range(255, 100, -1)),
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(128, 256)) * 3,
        bytes(range(256)) * 8,
        b"\x01\x02\x03\x04" * 200,
        codecs.BOM_UTF16_LE + b"\0\xd8",
        codecs.BOM_UTF8 + b"\xff\xfe",
    ],
)
def test_binary_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(ArticleError, match="请"):
        read_article(path, "a")


@pytest.mark.parametrize("data", [b"", b"   \n", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"\n\t", "\u3000\n".encode()])
def test_empty_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "空.txt"
    path.write_bytes(data)
    with pytest.raises(ArticleError, match=r"空|没有文字"):
        read_article(path, "a")


def test_oversized_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as file:
        file.truncate(corpus.MAX_BYTES + 1)  # a sparse file: nothing is written, and nothing may be read
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read"))
    with pytest.raises(ArticleError, match="上限"):
        read_article(path, "a")


def test_line_ends_and_form_feeds_become_newlines() -> None:
    assert made("甲一二三四。\r\n乙\r丙\f丁").text == "甲一二三四。\n乙\n丙\n丁"


def test_front_matter_is_taken_off_and_kept() -> None:
    article = made("---\ntitle: 标题一\nDate: 2025-11-30\ntags: [a, b]\n---\n\n# 正文标题\n正文。\n")
    assert article.title == "标题一"
    assert article.text == "# 正文标题\n正文。\n"
    assert dict(article.meta) == {"title": "标题一", "date": "2025-11-30"}


@pytest.mark.parametrize("block", ["", "tags:\n  - 甲\n  - 乙\n", "# 只有注释\ntitle: 007\n", "title: 甲\n...\n"])
def test_front_matter_of_any_kind_is_taken_off(block: str) -> None:
    end = "" if block.endswith("...\n") else "---\n"
    assert made(f"---\n{block}{end}正文。").text == "正文。"


@pytest.mark.parametrize(
    "text",
    ["---\n这是两条横线之间的一段话。\n---\n正文。", "正文。\n---\ntitle: 不在开头\n---\n", "---\ntitle: 没有结尾\n正文。", "----\n正文。"],
)
def test_what_only_looks_like_front_matter_stays(text: str) -> None:
    assert made(text).text == text


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    "block",
    [
        BOMB + "title: [*a29, *a29]\n",
        "title: " + "[" * 5000 + "]" * 5000 + "\n",
        "title: " + "{a: " * 3000 + "}" * 3000 + "\n",
        "title: 0x" + "f" * 9000 + "\n",
        "title: " + "9" * 9000 + "\n",
        "date: 2025-13-45\n",
        "title: !!python/object/apply:os.system ['touch hacked']\n",
        "title: !!python/name:os.system\n",
        "? [a, b]\n: c\n",
        "title: *undefined\n",
        "title: 'unclosed\n",
        "<<: [1, 2]\n",
        "key: value\n" * 200_000,
    ],
)
def test_hostile_front_matter_does_no_harm(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun = time.perf_counter()
    article = made(f"---\n{block}---\n正文还在。\n")
    assert time.perf_counter() - begun < 10
    assert article.text.endswith("正文还在。\n")
    assert len(article.title) <= 200
    assert not list(tmp_path.iterdir())
    assert all(isinstance(value, str) for value in article.meta.values())


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: 甲\n---\n# 乙\n正文。", "甲"),
        ("---\ntitle: yes\n---\n正文。", "yes"),
        ("正文在前。\n\n# 乙 #\n", "乙"),
        ("灯塔小史\n\n正文。", "灯塔小史"),
        ("第一行就是正文，很长。\n第二行。", "文件名"),
        ("---\ntitle: |\n  两行\n  标题\n---\n正文。", "两行 标题"),
        ("# " + "长" * 500 + "\n正文。", "长" * 200),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert made(text).title == title


def test_only_front_matter_is_no_article() -> None:
    with pytest.raises(ArticleError, match="正文"):
        made("---\ntitle: 甲\n---\n\n")


def test_bad_files_do_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "好.md").write_text("# 好文章\n正文。", "utf-8")
    (tmp_path / "坏.txt").write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 60)
    (tmp_path / "空.md").touch()
    (tmp_path / "表.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / ".hidden.md").write_text("隐藏。", "utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("隐藏。", "utf-8")
    articles, failures = load([tmp_path])
    assert [a.title for a in articles] == ["好文章"]
    assert {Path(f.path).name for f in failures} == {"坏.txt", "空.md", "表.xlsx"}
    assert all(f.reason.endswith("。") for f in failures)


def test_links_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.md").write_text("外面的内容。", "utf-8")
    (inside / "a.md").write_text("里面的内容。", "utf-8")
    (inside / "file.md").symlink_to(outside / "secret.md")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "dangling.md").symlink_to(tmp_path / "nothing")
    articles, failures = load([inside])
    assert [a.text for a in articles] == ["里面的内容。"]
    assert not [f for f in failures if "secret" in f.reason]


def test_names_are_unique_and_do_not_depend_on_the_order_of_the_disk(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for name in ("a.md", "a.txt", "sub/a.md"):
            (tmp_path / folder / name).write_text(f"{folder} {name} 的内容。", "utf-8")
    roots = [tmp_path / "one", tmp_path / "two", tmp_path / "one" / "a.md"]
    articles, failures = load(roots)
    ids = [a.id for a in articles]
    assert not failures
    assert len(set(ids)) == len(ids) == 7
    assert ids[:3] == ["a", "a.txt", "sub/a"]
    assert [a.id for a in load(roots)[0]] == ids


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")
def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode("文章".encode("gbk") + b".md")).write_text("# 标题\n正文。", "utf-8")
    articles, failures = load([tmp_path])
    assert [a.title for a in articles] == ["标题"]
    assert not failures


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        load([tmp_path / "nowhere"])


def test_a_gb18030_mark_is_no_text() -> None:
    """Found by benchmarks/fuzz.py."""
    assert decode("\ufeff第一篇文章讲的是大运河的历史。".encode("gb18030")) == "第一篇文章讲的是大运河的历史。"


def test_a_heading_of_spaces_is_no_title() -> None:
    """Found by benchmarks/fuzz.py."""
    assert parse("#" + " " * 80 + "\n大运河很长。", id="a", path="a.md", stem="运河").title.strip()
