"""HTML from answers and articles: everything escaped, nothing lost, the excerpt marked exactly."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from askai.types import Answer, Article, ArticleSummary, BuildReport, Citation, Failure, LibraryStatus, Span
from askai.ui import panels, render
from askai.ui.desk import Removal, State
from askai.ui.markup import attribute, escape, from_token, plain, token
from askai.ui.render import Mark, Trouble
from askai.ui.work import Outcome, Step

TAGS = frozenset(
    "article b blockquote button dd details div dl dt footer h2 header li mark ol p progress section span "
    "strong summary ul".split()
)
NASTY = (
    "<script>", "</mark>", "<img src=x onerror=alert(1)>", "&lt;", "&#60;", '" onclick="x', "'", "`${x}`", "{{x}}",
    "\u202e", "\u200b", "\x00", "\x1b", "\r", "\ufeff", "\ud800", "👨‍👩‍👧", "[1]", "[2]", "# ", "\n", "》", "\u3000",
    "javascript:alert(1)", "](http://x)",
)
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=8) | st.characters(), max_size=12).map("".join)


class Seen(HTMLParser):
    """What a browser would make of it: tags, attributes, and text with odd characters put back."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.marked: list[str] = []
        self.strong: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._open.append(tag)
        code = dict(attrs).get("data-code")
        if code:
            self._add(chr(int(code.removeprefix("U+"), 16)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, text: str) -> None:
        self.text.append(text)
        if "mark" in self._open:
            self.marked.append(text)
        if "strong" in self._open:
            self.strong.append(text)

    def harmless(self) -> bool:
        """Only our own elements, no handlers, no addresses, every element closed."""
        names = {name for name, _ in self.attributes}
        known = names <= {
            "class", "data-do", "data-file", "data-whole", "data-sure", "data-turn", "data-number", "data-text", "data-question", "data-article", "data-at",
            "data-nonce", "data-code", "aria-label", "aria-hidden", "aria-busy", "role", "title", "type", "tabindex",
            "open", "value", "max",
        }
        return set(self.tags) <= TAGS and known and not self._open


def seen(html: str) -> Seen:
    looked = Seen(html)
    assert looked.harmless(), html
    return looked


def citation(article: Article, start: int, end: int, words: tuple[int, int] | None, number: int = 1) -> Citation:
    span = Span(*words, article.text[slice(*words)]) if words else None
    return Citation(
        number, article.id, article.title, article.path, start, end, article.text[start:end], span, 0.6
    )


@st.composite
def places(draw: st.DrawFn) -> tuple[Article, Citation]:
    text = draw(texts.filter(bool))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), min_size=4, max_size=4)))
    start, end = cuts[0], max(cuts[3], cuts[0] + 1)
    article = Article(draw(texts), draw(texts), draw(texts), text, {"source": draw(texts), "date": "2025"})
    words = (cuts[1], cuts[2]) if cuts[1] < cuts[2] else None
    return article, citation(article, start, min(end, len(text)), words, draw(st.integers(1, 9)))


@given(texts)
def test_escaped_text_reads_back_and_has_no_markup(text: str) -> None:
    shown = escape(text)
    assert "".join(seen(shown).text) == text
    assert shown.count("<") == 2 * shown.count('<span class="odd"')
    assert '"' not in attribute(text)
    assert "<" not in attribute(text)
    assert from_token(token(text)) == text
    assert token(text).isascii()
    assert not set(token(text)) & set("<>\"'&` ")
    shown.encode("utf-8")
    attribute(text).encode("utf-8")


def test_odd_characters_are_named_and_emoji_stay_whole() -> None:
    assert plain("左\u202e右\x00") == "左⟨U+202E⟩右⟨U+0000⟩"
    for whole in ("👨‍👩‍👧‍👦", "❤️‍🔥", "🏳️‍🌈", "葛\U000e0100", "می‌خواهم", "한국어", "\tA\nB"):
        assert escape(whole) == whole
    assert "U+200D" in escape("银\u200d行")


@given(places())
def test_an_article_is_shown_whole_with_exactly_the_excerpt_marked(place: tuple[Article, Citation]) -> None:
    article, cited = place
    mark = render.locate(article, cited)
    assert mark is not None
    shown = seen(render.render_text(article.text, mark))
    assert "".join(shown.text) == article.text
    assert "".join(shown.marked) == cited.quote
    assert "".join(shown.strong) == (cited.span.text if cited.span else "")
    seen(render.render_article(article, mark, notice="<b>"))


@given(places(), texts, st.floats(0, 1), st.sampled_from(["answered", "not_found"]))
def test_an_answer_is_escaped_and_quotes_are_verbatim(
    place: tuple[Article, Citation], text: str, confidence: float, status: str
) -> None:
    article, cited = place
    answer = Answer(text, article.title, "answered", text, confidence, (cited,), 3.2)
    answer = answer if status == "answered" else replace(answer, status="not_found")
    html = render.render_conversation([answer, Trouble(text, text)], waiting=text)
    looked = seen(html)
    assert cited.quote in "".join(looked.text)
    assert looked.tags.count("article") == 1
    assert dict(looked.attributes)["class"]
    shown = confidence if status == "not_found" else cited.score
    assert (f"{shown:.0%}" in html) or (status == "answered" and cited.span is None)


def test_an_answer_leads_with_its_words_then_its_citations() -> None:
    article = Article("a", "石桥", "a.md", "桥建于 1587 年。长 46 米。")
    cites = (citation(article, 0, 10, (3, 9)), citation(article, 10, 17, (12, 16), 2))
    answer = Answer("何时建？", "石桥何时建？", "answered", "1587 年", 0.9, cites, 12.0)
    html = render.render_answer(answer, 0)
    words = "".join(seen(html).text)
    order = [words.index(w) for w in ("问题理解为：石桥何时建？", "1587 年", "[1]", "[2]", "出处", "把握一般 · 60%")]
    assert order == sorted(order)
    assert "最接近" not in words
    inline = render.render_answer(replace(answer, answer="建于那年 [1]，长度见 [2]，另见 [7]"), 0)
    assert inline.count('class="reference"') == 2
    assert "另见 [7]" in inline
    beside = replace(answer, citations=(cites[0], replace(cites[1], span=None)))
    assert render.render_answer(beside, 0).count('class="reference"') == 1


def test_not_found_looks_different() -> None:
    article = Article("a", "石桥", "a.md", "桥建于 1587 年。")
    answer = Answer("谁？", "谁？", "not_found", "文章里没有找到答案。", 0.12, (citation(article, 0, 11, None),), 9.0)
    html = render.render_answer(answer, 0)
    words = "".join(seen(html).text)
    assert 'class="reply missing"' in html
    assert words.startswith("文章里没有找到答案。")
    assert "最接近的原文（不是答案" in words
    assert "可能：12%" in words
    assert "问题理解为" not in words
    assert 'class="reference"' not in render.render_answer(answer, 0)


def test_small_talk_has_no_confidence() -> None:
    html = render.render_answer(Answer("你好", "你好", "answered", "你好！", 1.0, (), 1.0), 0)
    words = "".join(seen(html).text)
    assert "把握" not in words
    assert "出处" not in words


def test_the_copied_text_carries_the_citations() -> None:
    article = Article("a", "石桥", "a.md", "桥建于 1587 年。")
    answer = Answer("何时？", "何时？", "answered", "1587 年", 0.9, (citation(article, 0, 11, None),), 1.0)
    assert render.copy_text(answer) == (
        "问：何时？\n答：1587 年\n出处：\n[1] 《石桥》（a.md，第 1–11 字）：桥建于 1587 年。"
    )


def test_a_citation_says_its_page() -> None:
    article = Article("a", "石桥", "a.pdf", "桥建于 1587 年。长 62 米。", pages=(0, 11))
    cited = replace(citation(article, 11, 18, None), page=article.page_at(11))
    html = render.render_answer(Answer("多长？", "多长？", "answered", "62 米", 0.9, (cited,), 1.0), 0)
    assert '<span class="page">第 2 页</span>' in html
    assert "（a.pdf，第 2 页，第 12–18 字）" in render.copy_text(
        Answer("多长？", "多长？", "answered", "62 米", 0.9, (cited,), 1.0)
    )
    assert "第 2 页，第 12–18 字" in render.render_article(article, Mark(11, 18))
    assert "页" not in "".join(seen(render.render_article(replace(article, pages=()), Mark(11, 18))).text)


def test_a_moved_excerpt_is_found_and_a_vanished_one_is_not() -> None:
    article = Article("a", "t", "p", "前言。桥建于 1587 年。")
    cited = citation(article, 3, 13, (6, 12))
    moved = replace(article, text="新写的" + article.text)
    assert render.locate(moved, cited) == Mark(6, 16, 9, 15)
    assert render.locate(replace(article, text="全改了"), cited) is None


@given(st.integers(0, 400_000), st.integers(0, 400_000))
def test_a_long_article_is_shown_in_the_part_that_is_meant(length: int, at: int) -> None:
    at = min(at, length)
    start, end = render.part_of("字" * length, at)
    assert 0 <= start <= at <= end <= length
    assert end - start <= render.WHOLE


def test_a_long_article_can_be_turned_like_pages() -> None:
    article = Article("a/中", "长文", "p", "一二三四五\n" * 50_000)
    first = render.render_article(article)
    assert "下一部分" in first
    assert "上一部分" not in first
    middle = seen(render.render_article(article, Mark(150_000, 150_005)))
    assert "".join(middle.marked) == article.text[150_000:150_005]
    assert dict(middle.attributes)["data-article"] == "a%2F%E4%B8%AD"
    ats = [int(value) for name, value in middle.attributes if name == "data-at"]
    assert ats[0] < 150_000 < ats[1]


@given(st.floats(0, 1))
def test_a_probability_is_said_in_words_and_per_cent(probability: float) -> None:
    said = render.sureness(probability)
    assert "把握" in said
    assert said.endswith("%")


@given(st.lists(st.tuples(texts, texts, texts), max_size=4), texts)
def test_the_panels_are_escaped(rows: list[tuple[str, str, str]], wanted: str) -> None:
    listed = [ArticleSummary(id, title, path, 10, 1) for id, title, path in rows]
    failures = [Failure(path, reason) for path, reason, _ in rows]
    paths = tuple(path for path, _, _ in rows)
    for html in (
        panels.render_articles(listed, wanted),
        panels.render_articles(listed),
        panels.render_failures(failures),
        panels.render_status(LibraryStatus("g", (), "", 1, 1, paths, paths, paths, tuple(failures))),
        panels.render_outcome(Outcome(None, wanted, tuple(t for t, _, _ in rows), tuple(failures)), 1),
        panels.render_removed(Removal(1, wanted), wanted, wanted),
        panels.render_shared(wanted, 3, Removal(1, wanted)),
        panels.render_work(Step(wanted, 1, 3, 9.0)),
        panels.render_welcome(panels.examples_for(listed)),
        panels.render_state(State("failed", message=wanted)),
        panels.render_state(State("building", Step(wanted, 1, 3))),
        panels.render_state(State("ready", Step(wanted, 1, 3), articles=4, passages=5)),
    ):
        seen(html)


def test_the_list_tells_sizes_and_is_cut_with_a_word() -> None:
    many = [ArticleSummary(f"{n}", f"第{n}篇", f"c/{n}.md", 1234, 5) for n in range(panels.LISTED + 3)]
    html = panels.render_articles(many)
    assert html.count("<li>") == panels.LISTED
    assert "还有 3 篇" in html
    assert "1,234 字 · 5 段" in html
    assert panels.render_articles(many, "第202篇").count("<li>") == 1
    assert "没有标题" in panels.render_articles(many, "没有这篇")
    assert "还没有文章" in panels.render_articles([])


def test_work_shows_counts_and_the_time_left() -> None:
    assert "读入文章 30/120，约剩 30 秒" in panels.render_work(Step("读入文章", 30, 120, 10.0))
    assert "约剩 5 分钟" in panels.render_work(Step("读入文章", 1, 31, 10.0))
    assert "约剩 2.8 小时" in panels.render_work(Step("读入文章", 1, 1001, 10.0))
    assert "约剩" not in panels.render_work(Step("读入文章", 0, 120, 10.0))
    assert "约剩" not in panels.render_work(Step("读入文章", 30, 120, 0.5))
    assert "正在取消" in panels.render_work(Step("读入文章", 30, 120, 10.0, stopping=True))


def test_an_outcome_says_what_is_to_be_done() -> None:
    report = BuildReport("g", 12, 340, ("a",), (), (), (), 300, 1.25)
    good = "".join(seen(panels.render_outcome(Outcome(report, "", ("a.md", "b.md")), 1)).text)
    assert "已加入：a.md、b.md，共 2 个文件。" in good
    assert "新增 1 篇" in good
    cancelled = "".join(seen(panels.render_outcome(Outcome(None, "已取消。", ("a.md",)), 1)).text)
    assert "已取消。文件已经存好，点“重建索引”" in cancelled
    refused = "".join(seen(panels.render_outcome(Outcome(refused=(Failure("c.md", "是空的。"),)), 1)).text)
    assert refused == "c.md 没有加入：是空的。"


def test_the_status_counts_what_is_not_indexed() -> None:
    status = LibraryStatus("g", (), "", 1, 1, ("a.md", "b.md"), ("c.md",), (), (Failure("d.pdf", "已损坏"),))
    words = "".join(seen(panels.render_status(status)).text)
    assert "新文件 2 个，有改动 1 个。" in words
    assert "有 1 个文件没有读入" in words
    assert "再读一次" in words
    assert "一致" in panels.render_status(replace(status, new=(), changed=()))


def test_a_report_says_what_changed() -> None:
    report = BuildReport("g", 12, 340, ("a", "b"), ("c",), (), (), 300, 1.25)
    assert "12 篇文章、340 段（新增 2 篇，改动 1 篇）" in panels.render_report(report)
    assert "没有变化" in panels.render_report(replace(report, added=(), changed=()))


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        (["试用期的法律规矩"], ["试用期最长多久？"]),
        (["家传菜谱"], ["总结一下《家传菜谱》", "有哪些文章？"]),
        ([], []),
    ],
)
def test_examples_suit_the_articles(titles: list[str], expected: list[str]) -> None:
    assert panels.examples_for([ArticleSummary(t, t, t, 1, 1) for t in titles]) == expected
