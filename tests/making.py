"""What the tests of the core are made of: articles, an index and an assistant in memory, answers given before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from askai.assistant import Assistant, default_calibration, default_reader
from askai.encoder import load_encoder
from askai.generations import current, publish, read_manifest, read_sources, uses_of
from askai.index import Index, build_index
from askai.responder import Calibration
from askai.retrieval import lexical_scores, retrieve
from askai.types import Answer, Article, Citation, Encoder, Floats, Hit, Passage, Span
from askai.writing import SEGMENTS, writing

CORPUS = Path(__file__).parent.parent / "corpus"

# Texts that once broke something, or that look as if they could.
HOSTILE_TEXTS: Mapping[str, str] = {
    "punctuation only": "。。。！！！？？？，，，；；；……」』”’",
    "headings only": "# 一\n## 二\n### 三\n",
    "one character": "甲",
    "one full stop": "。",
    "long line": "甲乙丙丁" * 5000,
    "long word": "a" * 20000,
    "combining marks": "e\u0301" * 300 + "中\u0300文\u0301" * 100,
    "half characters": "你好\ud800世界\udfff。马斯克\ud83d说。",
    "right to left": "\u202e马斯克是谁\u202c。שלום עולם. مرحبا بالعالم؟",
    "zero width": "马\u200b斯\u200d克\ufeff创\u2060办了特斯拉。",
    "emoji": "👨‍👩‍👧‍👦" * 100 + "。家庭有四口人👩🏽‍🚀！",
    "table": "| 姓名 | 年龄 |\n|---|---|\n| 张三 | 30 |\n| 李四 | 40 |\n",
    "code": '```python\nprint("你好。世界")\n```\n正文在这里。',
    "nested list": "- 一\n  - 二\n    - 三\n      1. 四\n         - 五\n",
    "line ends": "甲。" + "\n" * 20000 + "乙。",
    "spaces": "甲" + " " * 20000 + "乙",
    "repeated heading": "# 标题\n" * 300,
    "open quotes": "“" * 2000,
    "mixed quotes": '!"' * 2000,
    "full stops": "。" * 5000,
    "questions": "怎么？\n" * 500,
    "colons": "甲：\n" * 500,
    "rare Han": "𠮷野家𪚥𰻞𰻞麵。" * 50,
    "odd line ends": "甲\u2028乙\u2029丙\x85丁\x0b戊\x1c己",
    "controls": "\x01\x02\x1b[31m甲乙\x7f丙\x00丁。",
    "private use": "\ue000\uf8ff" * 50,
    "compatibility": "㎡㍿½ﬁ①⑳Ⅻ＄￥％ｶﾞ한글。" * 30,
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>[点](javascript:alert(2))。" * 5,
    "one sentence again": "打印头每周清洁一次，可以防止堵塞和断线。" * 40,
}

HOSTILE_QUESTIONS: Sequence[str] = (
    "？", "。", "a", "的", "\u200b", "\u202e谁", "\ud800", "👨‍👩‍👧‍👦？", "是" * 1000, "a" * 1000, "a-" * 400, "e\u0301" * 300,
    "' OR 1=1 --", "<script>alert(1)</script>", "𠮷野家在哪？", "ＡＢＣ　１２３", "%s %d {0} {}", "../../etc/passwd",
    "总结一下《》", "那呢？", "他呢？", "《", "***", "# 标题", "\n谁\n", "什么" * 200,
)


TEXTS = (
    "# 打印机\n\n标准版 PPR-9087 的售价是 699 元，电池加大版的售价是 829 元。\n\n## 保修\n\n整机保修一年，打印头保修两年。",
    "白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。1954年的台风毁掉了塔顶的灯室。",
    "綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜，並且要密封避光。",
)


def assert_same(one: Index, other: Index) -> None:
    """The same articles, passages, vectors, scores and hits, in whatever segments."""
    assert one.articles == other.articles
    assert one.ids == other.ids
    assert len(one) == len(other)
    rows = range(len(one))
    assert [one.passage(row) for row in rows] == [other.passage(row) for row in rows]
    np.testing.assert_array_equal(one.digests, other.digests)
    np.testing.assert_array_equal(one.vectors.vectors(), other.vectors.vectors())
    for question in ("打印机多少钱", "灯塔是谁修建的？", "綠茶", "没有的东西zzz"):
        for mine, theirs in zip(lexical_scores(one, question), lexical_scores(other, question), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert retrieve(one, load_encoder(), question) == retrieve(other, load_encoder(), question)


def article(text: str, title: str = "样文", id: str = "sample") -> Article:
    return Article(id, title, f"{id}.md", text)


def articles(*texts: str) -> list[Article]:
    return [article(text, f"样文{n}", f"sample-{n}") for n, text in enumerate(texts)]


def index_of(chosen: Sequence[Article], encoder: Encoder | None = None) -> Index:
    return build_index(chosen, encoder or load_encoder())


def files_of(folder: Path) -> list[Path]:
    """Every file that the generation that serves is read from."""
    name = current(folder)
    manifest = json.loads((folder / name / "manifest.json").read_text("utf-8"))
    segments = [folder / SEGMENTS / use.name / file for use in uses_of(manifest) for file in sorted(use.files)]
    return [folder / name / "manifest.json", folder / name / "sources.json", *segments]


def republish(folder: Path, **changes: Any) -> str:
    """The generation that serves once more, under the next name, with some keys of its manifest changed."""
    name = current(folder)
    manifest = read_manifest(folder, name)
    with writing(folder):
        return publish(folder, manifest | changes, read_sources(folder, name, manifest))


def assistant_of(chosen: Sequence[Article] | Index, calibration: Calibration | None = None) -> Assistant:
    """The parts that ship over articles, or over an index of them, in memory."""
    index = chosen if isinstance(chosen, Index) else index_of(chosen)
    return Assistant(index, load_encoder(), default_reader(), calibration or default_calibration())


def whole(chosen: Article, score: float = 1.0) -> Hit:
    """The article as one passage."""
    return Hit(0, Passage(chosen.id, 0, len(chosen.text)), score)


def answer(question: str, words: str = "", *, understood_as: str = "", status: str = "answered") -> Answer:
    """An answer given before: ``words`` are the span of its citation."""
    cited = (Citation(1, "a", "题", "a.md", 0, len(words), words, Span(0, len(words), words), 0.9),)
    return Answer(
        question, understood_as or question, "answered" if status == "answered" else "not_found", words, 0.9,
        cited if words else (), 1.0,
    )


def check(given: Answer, texts: Mapping[str, str]) -> None:
    """What every answer must keep: verbatim quotes, numbers from 1, no sentence twice, spans inside."""
    assert [c.number for c in given.citations] == list(range(1, len(given.citations) + 1))
    assert 0.0 <= given.confidence <= 1.0
    places: dict[str, list[tuple[int, int]]] = {}
    for c in given.citations:
        text = texts[c.article_id]
        assert 0 <= c.start < c.end <= len(text)
        assert text[c.start : c.end] == c.quote
        assert c.quote.strip()
        assert 0.0 <= c.score <= 1.0
        if c.span is not None:
            assert c.start <= c.span.start < c.span.end <= c.end
            assert text[c.span.start : c.span.end] == c.span.text
        assert all(c.end <= a or b <= c.start for a, b in places.get(c.article_id, []))
        places.setdefault(c.article_id, []).append((c.start, c.end))
    assert len({c.quote for c in given.citations}) == len(given.citations)


class LetterEncoder:
    """An encoder of another make: unit vectors from counts of characters. ``mark`` makes its name."""

    dimensions = 16

    def __init__(self, mark: str = "1") -> None:
        self.fingerprint = f"letters:{mark}"
        self.encoded: list[str] = []

    def encode_passages(self, texts: Sequence[str]) -> Floats:
        self.encoded += texts
        out = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for char in text:
                out[row, ord(char) % self.dimensions] += 1
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True), np.float32)

    def encode_question(self, question: str) -> Floats:
        return np.asarray(self.encode_passages([question])[0], np.float32)
