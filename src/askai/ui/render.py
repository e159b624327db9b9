"""Answers and articles to HTML. Pure functions; nothing reaches the page but through ``markup``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from askai.types import Answer, Article, Citation
from askai.ui.markup import attribute, escape, plain, token

WHOLE = 120_000
"""An article of more characters is shown in parts of about ``PART``."""
PART = 60_000

_REFERENCE = re.compile(r"\[(\d{1,3})\]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]")
_META = (
    ("date", "日期"), ("author", "作者"), ("source", "来源"), ("url", "网址"), ("licence", "许可"),
    ("license", "许可"),
)
_SURENESS = ((0.85, "很有把握"), (0.65, "较有把握"), (0.45, "把握一般"), (0.0, "把握不大"))


@dataclass(frozen=True, slots=True)
class Trouble:
    """A question that could not be put, with the reason in Chinese."""

    question: str
    message: str


Turn = Answer | Trouble


@dataclass(frozen=True, slots=True)
class Mark:
    """The excerpt to be marked in an article and, inside it, the answering words."""

    start: int
    end: int
    words_start: int = 0
    words_end: int = 0


def sureness(probability: float) -> str:
    """How likely an excerpt answers, in words and per cent."""
    words = next(word for least, word in _SURENESS if probability >= least)
    return f"{words} · {probability:.0%}"


def _cite_button(turn: int, citation: Citation, inside: str, kind: str) -> str:
    label = attribute(f"在原文中查看出处 {citation.number}：{citation.title}")
    return (
        f'<button type="button" class="{kind}" data-do="cite" data-turn="{turn}"'
        f' data-number="{citation.number}" aria-label="{label}" title="{label}">{inside}</button>'
    )


def _lead(answer: Answer, turn: int) -> str:
    """The words of the reply; ``[n]`` in them becomes a button, else those of the citations that answer follow."""
    known = {c.number: c for c in answer.citations}
    parts: list[str] = []
    linked = False
    at = 0
    for match in _REFERENCE.finditer(answer.answer):
        citation = known.get(int(match.group(1)))
        if citation is None:
            continue
        parts.append(escape(answer.answer[at : match.start()]))
        parts.append(_cite_button(turn, citation, match.group(), "reference"))
        at, linked = match.end(), True
    parts.append(escape(answer.answer[at:]))
    if answer.status == "answered" and not linked:
        parts += [_cite_button(turn, c, f"[{c.number}]", "reference") for c in answer.citations if c.span]
    return "".join(parts)


def _segments(text: str, mark: Mark | None, offset: int = 0) -> Iterator[tuple[str, bool, bool]]:
    """Cut ``text`` where the mark begins or ends: (piece, in the excerpt, in the answering words)."""
    cuts = {0, len(text)}
    if mark:
        cuts |= {mark.start - offset, mark.end - offset, mark.words_start - offset, mark.words_end - offset}
    places = sorted(c for c in cuts if 0 <= c <= len(text))
    for a, b in pairwise(places):
        at = a + offset
        quoted = mark is not None and mark.start <= at < mark.end
        strong = quoted and mark is not None and mark.words_start <= at < mark.words_end
        yield text[a:b], quoted, strong


def _quote(citation: Citation) -> str:
    span = citation.span
    mark = Mark(citation.start, citation.end, span.start, span.end) if span else None
    return "".join(
        f'<strong class="words">{escape(piece)}</strong>' if strong else escape(piece)
        for piece, _, strong in _segments(citation.quote, mark, citation.start)
    )


def _citation(citation: Citation, turn: int) -> str:
    page = f'<span class="page">{_page(citation.page)}</span>' if citation.page is not None else ""
    inside = (
        f'<span class="number">{citation.number}</span><span class="where">{escape(citation.title)}</span>{page}'
        '<span class="open" aria-hidden="true">看原文 ›</span>'
    )
    return (
        f'<li class="citation">{_cite_button(turn, citation, inside, "source")}'
        f"<blockquote>{_quote(citation)}</blockquote></li>"
    )


def _page(page: int | None, after: str = "") -> str:
    return "" if page is None else f"第 {page:,} 页{after}"


def copy_text(answer: Answer) -> str:
    """An answer with its citations as plain text."""
    lines = [f"问：{answer.question}", f"答：{answer.answer}"]
    if answer.citations:
        lines.append("出处：" if answer.status == "answered" else "最接近的原文：")
    lines += [
        f"[{c.number}] 《{c.title}》（{c.path}，{_page(c.page, '，')}第 {c.start + 1}–{c.end} 字）：{c.quote}"
        for c in answer.citations
    ]
    return plain("\n".join(lines))


def _footing(answer: Answer) -> str:
    parts = []
    # Of a greeting or a summary there is nothing to be sure.
    if answer.is_finding:
        parts.append(f'<span class="sureness">{sureness(answer.first_score)}</span>')
    if answer.status == "not_found":
        parts.append(f'<span class="sureness">文章里有答案的可能：{answer.confidence:.0%}</span>')
    parts.append(f'<span class="elapsed">{max(1, round(answer.elapsed_ms)):,} 毫秒</span>')
    parts.append(
        f'<button type="button" class="copy" data-do="copy" data-text="{attribute(copy_text(answer))}">'
        f"{'复制答案和出处' if answer.citations else '复制'}</button>"
    )
    return f'<footer class="footing">{"".join(parts)}</footer>'


def render_answer(answer: Answer, turn: int) -> str:
    """One reply: the answer, how the question was understood, the citations, confidence."""
    found = answer.status == "answered"
    parts = [f'<article class="reply {"found" if found else "missing"}">']
    if answer.understood_as.strip() not in ("", " ".join(answer.question.split())):
        parts.append(f'<p class="understood">问题理解为：{escape(answer.understood_as)}</p>')
    kind = "lead long" if len(answer.answer) > 60 else "lead"
    parts.append(f'<p class="{kind}">{_lead(answer, turn)}</p>')
    if answer.citations:
        label = "出处" if found else "最接近的原文（不是答案，仅供参考）"
        cited = "".join(_citation(c, turn) for c in answer.citations)
        parts.append(f'<p class="label">{label}</p><ol class="citations">{cited}</ol>')
    parts += [_footing(answer), "</article>"]
    return "".join(parts)


def _question(text: str) -> str:
    return f'<p class="question"><span class="sr">你问：</span>{escape(text)}</p>'


def _trouble(trouble: Trouble) -> str:
    again = (
        f'<button type="button" class="copy" data-do="ask" data-question="{token(trouble.question)}">'
        "再试一次</button>"
        if trouble.question.strip()
        else ""
    )
    return f'<div class="reply trouble" role="alert"><p>{escape(trouble.message)}</p>{again}</div>'


def render_conversation(turns: Sequence[Turn], waiting: str | None = None, welcome: str = "") -> str:
    """All turns, oldest first; ``waiting`` is a question still being answered."""
    if not turns and waiting is None:
        return f'<div class="turns">{welcome}</div>'
    parts = []
    for number, turn in enumerate(turns):
        body = _trouble(turn) if isinstance(turn, Trouble) else render_answer(turn, number)
        parts.append(f'<section class="turn">{_question(turn.question)}{body}</section>')
    if waiting is not None:
        body = '<div class="reply waiting" aria-busy="true">正在文章里查找…</div>'
        parts.append(f'<section class="turn">{_question(waiting)}{body}</section>')
    return f'<div class="turns">{"".join(parts)}</div>'


def _line(line: str, mark: Mark | None, offset: int) -> str:
    pieces = []
    for piece, quoted, strong in _segments(line, mark, offset):
        shown = escape(piece)
        if strong:
            shown = f'<strong class="words">{shown}</strong>'
        pieces.append(f'<mark class="excerpt">{shown}</mark>' if quoted else shown)
    inside = "".join(pieces)
    return f'<span class="heading">{inside}</span>' if _HEADING.match(line) else inside


def render_text(text: str, mark: Mark | None = None, offset: int = 0) -> str:
    """The text, every character of it, with the excerpt marked; ``offset`` is where ``text`` begins."""
    lines = []
    for line in _LINE.findall(text):
        lines.append(_line(line, mark, offset))
        offset += len(line)
    return "".join(lines)


def locate(article: Article, citation: Citation) -> Mark | None:
    """Where the quote stands in the article as it is now; None when it is no longer there."""
    start = citation.start
    if article.text[start : citation.end] != citation.quote:
        start = article.text.find(citation.quote)
        if start < 0:
            return None
    moved = start - citation.start
    span = citation.span
    words = (span.start + moved, span.end + moved) if span else (start, start)
    return Mark(start, citation.end + moved, *words)


def part_of(text: str, at: int) -> tuple[int, int]:
    """The part of a long text to show around ``at``; the whole of one that is not too long."""
    if len(text) <= WHOLE:
        return 0, len(text)
    start = max(0, min(at - PART // 2, len(text) - PART))
    return start, start + PART


def _heads(article: Article) -> str:
    rows = [("文件", article.path)]
    rows += [(label, article.meta[key]) for key, label in _META if article.meta.get(key)]
    return "".join(f"<div><dt>{label}</dt><dd>{escape(value)}</dd></div>" for label, value in rows)


def _position(article: Article, mark: Mark) -> str:
    text = article.text
    share = mark.start / max(1, len(text))
    page = _page(article.page_at(mark.start), "，")
    return f"{page}第 {mark.start + 1:,}–{mark.end:,} 字，全文 {len(text):,} 字，约在 {share:.0%} 处"


def _turner(article: Article, at: int, label: str) -> str:
    return (
        f'<button type="button" class="turner" data-do="article" data-article="{token(article.id)}"'
        f' data-at="{at}">{label}</button>'
    )


def render_article(
    article: Article, mark: Mark | None = None, at: int = 0, notice: str = "", nonce: int = 0
) -> str:
    """An article opened at its excerpt or at ``at``; ``nonce`` makes opening it twice two events."""
    text = article.text
    start, end = part_of(text, mark.start if mark else at)
    where = f'<p class="position">{_position(article, mark)}</p>' if mark else ""
    before = _turner(article, max(0, start - PART // 2), "上一部分") if start else ""
    after = _turner(article, end + PART // 2, "下一部分") if end < len(text) else ""
    told = f'<p class="notice">{escape(notice)}</p>' if notice else ""
    return (
        f'<article class="paper" data-nonce="{nonce}" aria-label="{attribute(article.title)}">'
        f'<header><h2 tabindex="-1">{escape(article.title)}</h2>{where}{told}</header>'
        f"<dl>{_heads(article)}</dl>"
        f'{before}<div class="text">{render_text(text[start:end], mark, start)}</div>{after}'
        '<button type="button" class="back" data-do="back">回到问答</button></article>'
    )
