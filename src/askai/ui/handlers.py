"""What the page does on each event. Errors become words here; nothing is rendered here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from askai.errors import AskaiError
from askai.types import Answer, Citation
from askai.ui import panels, render, uploads
from askai.ui.desk import Desk
from askai.ui.markup import from_token
from askai.ui.render import Trouble, Turn

TURNS = 100
"""Turns of a conversation that are kept."""

_MOVED = "这篇文章在回答之后改过，引用的句子已经不在其中。"
_PROGRESS = gr.Progress()


class Handlers:
    """Event handlers over one desk. Each returns the new values of the components it is bound to.

    A text box that nobody has touched gives None.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._opened = itertools.count(1)

    def _conversation(self, turns: list[Turn], waiting: str | None = None) -> str:
        welcome = "" if turns else panels.render_welcome(panels.examples_for(self._desk.articles()))
        return render.render_conversation(turns, waiting, welcome)

    def ask(self, question: str | None, turns: list[Turn]) -> Iterator[tuple[Any, ...]]:
        """(conversation, turns, question box): the question at once, then its answer."""
        # A lone surrogate cannot be sent back to a browser.
        question = (question or "").encode("utf-8", "replace").decode("utf-8")
        if not question.strip():
            yield gr.skip(), gr.skip(), gr.skip()
            return
        yield self._conversation(turns, question), gr.skip(), ""
        turns = [*turns, self._turn(question, turns)][-TURNS:]
        yield self._conversation(turns), turns, gr.skip()

    def _turn(self, question: str, turns: list[Turn]) -> Turn:
        try:
            return self._desk.ask(question, [t for t in turns if isinstance(t, Answer)])
        except AskaiError as error:
            return Trouble(question, str(error))

    def ask_offered(self, turns: list[Turn], event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """The same for a question on a button; what stands in the question box is left alone."""
        for conversation, kept, _ in self.ask(from_token(event._data.get("question")), turns):
            yield conversation, kept, gr.skip()

    def clear(self) -> tuple[Any, ...]:
        """(conversation, turns, question box, reader)."""
        return self._conversation([]), [], "", panels.EMPTY_READER

    def open_citation(self, turns: list[Turn], event: gr.EventData) -> tuple[Any, ...]:
        """(reader, tabs): the article of a citation, at its excerpt."""
        citation = _citation_of(turns, event._data)
        if citation is None:
            return panels.render_notice(["这条出处已不在对话里，请重新提问。"], good=False), _tab("reader")
        try:
            article = self._desk.article(citation.article_id)
        except AskaiError as error:
            return panels.render_notice([str(error)], good=False), _tab("reader")
        mark = render.locate(article, citation)
        notice = "" if mark else _MOVED
        opened = next(self._opened)
        return render.render_article(article, mark, notice=notice, nonce=opened), _tab("reader")

    def open_article(self, event: gr.EventData) -> tuple[Any, ...]:
        """(reader, tabs): an article from its beginning or from ``at``."""
        try:
            article = self._desk.article(from_token(event._data.get("article")))
        except AskaiError as error:
            return panels.render_notice([str(error)], good=False), _tab("reader")
        at = _number(event._data.get("at"))
        return render.render_article(article, at=at, nonce=next(self._opened)), _tab("reader")

    def tick(self, turns: list[Turn], wanted: str | None) -> tuple[Any, ...]:
        """(conversation, state, list, failures, generation, timer) until the index is there."""
        if not self._desk.settled:
            waiting = self._conversation(turns) if not turns else gr.skip()
            state = panels.render_state(self._desk.state)
            return waiting, state, gr.skip(), gr.skip(), gr.skip(), gr.Timer(active=True)
        conversation = gr.skip() if turns else self._conversation(turns)
        return conversation, *self._index_parts(wanted), gr.Timer(active=False)

    def refresh(self, seen: str, wanted: str | None) -> tuple[Any, ...]:
        """(state, list, failures, generation) when another generation serves than the one shown."""
        if not self._desk.ready or self._desk.state.generation == seen:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        return self._index_parts(wanted)

    def _index_parts(self, wanted: str | None) -> tuple[str, str, str, str]:
        state = self._desk.state
        return (
            panels.render_state(state),
            panels.render_articles(self._desk.articles(), wanted or ""),
            panels.render_failures(self._desk.failures()),
            state.generation,
        )

    def filter(self, wanted: str | None) -> str:
        """The list of articles."""
        return panels.render_articles(self._desk.articles(), wanted or "")

    def upload(self, files: list[str] | None) -> tuple[Any, ...]:
        """(notice, upload box)."""
        if not files:
            return gr.skip(), gr.skip()
        try:
            stored, failures = uploads.store_files(self._desk.corpus, [Path(f) for f in files])
        except AskaiError as error:
            return panels.render_notice([str(error)], good=False), None
        return panels.render_added([p.name for p in stored], failures), None

    def paste(self, title: str | None, text: str | None) -> tuple[Any, ...]:
        """(notice, title, text); the fields are kept when the text could not be taken."""
        try:
            stored = uploads.store_text(self._desk.corpus, title or "", text or "")
        except AskaiError as error:
            return panels.render_notice([str(error)], good=False), gr.skip(), gr.skip()
        return panels.render_added([stored.name], []), "", ""

    def rebuild(
        self, turns: list[Turn], wanted: str | None, progress: gr.Progress = _PROGRESS
    ) -> tuple[Any, ...]:
        """(report, upload notice, conversation, state, list, failures, generation)."""

        def show(stage: str, done: int, total: int) -> None:
            progress(done / total if total else 0.0, desc=stage)

        try:
            report = self._desk.rebuild(show)
        except AskaiError as error:
            wrong = panels.render_notice([str(error)], good=False)
            return wrong, gr.skip(), gr.skip(), *self._index_parts(wanted)
        conversation = gr.skip() if turns else self._conversation(turns)
        return panels.render_report(report), "", conversation, *self._index_parts(wanted)


def _citation_of(turns: list[Turn], data: dict[str, Any]) -> Citation | None:
    turn, number = _number(data.get("turn"), -1), _number(data.get("number"), -1)
    if not 0 <= turn < len(turns):
        return None
    answer = turns[turn]
    cited = answer.citations if isinstance(answer, Answer) else ()
    return next((c for c in cited if c.number == number), None)


def _number(value: object, otherwise: int = 0) -> int:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else otherwise


def _tab(name: str) -> Any:
    return gr.Tabs(selected=name)
