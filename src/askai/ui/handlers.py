"""What the page does on each event. Errors become words here; nothing is rendered here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from askai.errors import AskaiError
from askai.types import Answer, Citation, Mode
from askai.ui import panels, render
from askai.ui.desk import Desk, Mark
from askai.ui.markup import from_token
from askai.ui.render import Trouble, Turn
from askai.ui.visits import Visit, Visits, known

TURNS = 100
"""Turns of a conversation that are kept."""
BUSY_S, QUIET_S = 0.5, 2.0
"""How often a tab looks whether anything has changed, while there is work under way and otherwise."""
AT_ONCE_S = 1.0
"""How long an event waits for the work that it began, to show what came of it without a detour."""

_MOVED = "这篇文章在回答之后改过，引用的句子已经不在其中。"


class Shown(NamedTuple):
    """New values of the components that show how things stand, in the order of ``page._Parts.standing``."""

    conversation: Any
    state: Any
    report: Any
    cancel: Any
    removed: Any
    listing: Any
    standing: Any
    seen: Any
    timer: Any


_NOTHING = Shown(*[gr.skip()] * 9)


class Handlers:
    """Event handlers over one desk. Each returns the new values of the components it is bound to.

    A text box that nobody has touched gives None.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._opened = itertools.count(1)
        self._visits = Visits()

    def _conversation(self, turns: list[Turn], waiting: str | None = None) -> str:
        welcome = "" if turns else panels.render_welcome(panels.examples_for(self._desk.articles()))
        return render.render_conversation(turns, waiting, welcome)

    # --- arriving and asking

    def arrive(self, name: str | None) -> tuple[Any, ...]:
        """(visitor, turns, mode, conversation): what the tab of this name had before it was reloaded."""
        name = name if known(name) and name else ""
        visit = self._visits.of(name)
        turns = list(visit.turns)
        return name, turns, visit.mode.value, self._conversation(turns) if turns else gr.skip()

    def choose(self, mode: str | None, turns: list[Turn], visitor: str) -> None:
        """Remember the mode for a reload."""
        self._visits.keep(visitor, Visit(tuple(turns), _mode(mode)))

    def ask(
        self, question: str | None, turns: list[Turn], mode: str | None, visitor: str
    ) -> Iterator[tuple[Any, ...]]:
        """(conversation, turns, question box): the question at once, then its answer."""
        # A lone surrogate cannot be sent back to a browser.
        question = (question or "").encode("utf-8", "replace").decode("utf-8")
        if not question.strip():
            yield gr.skip(), gr.skip(), gr.skip()
            return
        yield self._conversation(turns, question), gr.skip(), ""
        turns = [*turns, self._turn(question, turns, _mode(mode))][-TURNS:]
        self.choose(mode, turns, visitor)
        yield self._conversation(turns), turns, gr.skip()

    def _turn(self, question: str, turns: list[Turn], mode: Mode) -> Turn:
        try:
            return self._desk.ask(question, [t for t in turns if isinstance(t, Answer)], mode)
        except AskaiError as error:
            return Trouble(question, str(error))

    def ask_offered(
        self, turns: list[Turn], mode: str | None, visitor: str, event: gr.EventData
    ) -> Iterator[tuple[Any, ...]]:
        """The same for a question on a button; what stands in the question box is left alone."""
        for conversation, kept, _ in self.ask(from_token(event._data.get("question")), turns, mode, visitor):
            yield conversation, kept, gr.skip()

    def clear(self, mode: str | None, visitor: str) -> tuple[Any, ...]:
        """(conversation, turns, question box, reader)."""
        self.choose(mode, [], visitor)
        return self._conversation([]), [], "", panels.EMPTY_READER

    # --- reading

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

    # --- how things stand

    def tick(self, seen: Mark, turns: list[Turn], wanted: str | None) -> Shown:
        """What has changed since this tab last looked."""
        desk, now = self._desk, self._desk.mark
        if now == seen and now.settled and not now.working:
            return _NOTHING
        state = desk.state
        work = panels.render_work(state.step) if state.step else gr.skip()
        shown = _NOTHING._replace(
            state=panels.render_state(state), report=work, cancel=gr.Button(visible=bool(now.working)),
            seen=now, timer=gr.Timer(QUIET_S if now.settled and not now.working else BUSY_S),
        )
        if replace(now, working=0) == replace(seen, working=0):
            return shown
        return shown._replace(
            conversation=gr.skip() if turns else self._conversation([]),
            report=work if now.working else self._came_of(seen, now),
            removed=panels.render_removed(desk.removal, desk.restored if seen != Mark() else ""),
            listing=self.filter(wanted),
            standing=self.look() if now.settled else gr.skip(),
        )

    def _came_of(self, seen: Mark, now: Mark) -> Any:
        """The outcome of work that ended since; a tab that has just been opened is not told."""
        outcome = self._desk.outcome
        if now.job == seen.job or outcome is None:
            return gr.skip()
        return panels.render_outcome(outcome, now.job) if seen != Mark() else ""

    def filter(self, wanted: str | None) -> str:
        """The list of articles."""
        return panels.render_articles(self._desk.articles(), wanted or "")

    def look(self) -> str:
        """The files against the index."""
        status = self._desk.status()
        return panels.render_status(status) if status else ""

    # --- changing

    def upload(
        self, files: list[str] | None, seen: Mark, turns: list[Turn], wanted: str | None
    ) -> tuple[Any, ...]:
        """(upload box, …): the files are taken in and answered from."""
        if not files:
            return gr.skip(), *_NOTHING
        self._desk.take_in([Path(f) for f in files]).wait(AT_ONCE_S)
        return None, *self.tick(seen, turns, wanted)

    def paste(
        self, title: str | None, text: str | None, seen: Mark, turns: list[Turn], wanted: str | None
    ) -> tuple[Any, ...]:
        """(title, text, …); the fields are kept when the text could not be taken."""
        try:
            self._desk.take_text(title or "", text or "").wait(AT_ONCE_S)
        except AskaiError as error:
            wrong = panels.render_notice([str(error)], good=False)
            return gr.skip(), gr.skip(), *_NOTHING._replace(report=wrong)
        return "", "", *self.tick(seen, turns, wanted)

    def rebuild(self, seen: Mark, turns: list[Turn], wanted: str | None) -> Shown:
        """Begin to bring the index up to date."""
        self._desk.rebuild().wait(AT_ONCE_S)
        return self.tick(seen, turns, wanted)

    def retry(self, seen: Mark, turns: list[Turn], wanted: str | None, event: gr.EventData) -> Shown:
        """Read a file again that could not be read."""
        try:
            self._desk.retry(from_token(event._data.get("file"))).wait(AT_ONCE_S)
        except AskaiError as error:
            return _NOTHING._replace(report=panels.render_notice([str(error)], good=False))
        return self.tick(seen, turns, wanted)

    def cancel(self, seen: Mark, turns: list[Turn], wanted: str | None) -> Shown:
        """Call off the work that this tab shows."""
        self._desk.call_off(seen.working)
        return self.tick(seen, turns, wanted)

    def remove(self, seen: Mark, turns: list[Turn], wanted: str | None, event: gr.EventData) -> Shown:
        """Delete the file of an article or of a failure; where other articles would go with it, ask first."""
        path, failed, id = (from_token(event._data.get(key)) for key in ("whole", "file", "article"))
        try:
            if not path:
                path, articles = self._desk.file_at(failed) if failed else self._desk.file_of(id)
                if articles > (0 if failed else 1):
                    return _NOTHING._replace(removed=panels.render_shared(path, articles, self._desk.removal))
            self._desk.remove(path)
        except AskaiError as error:
            return _NOTHING._replace(removed=panels.render_removed(self._desk.removal, wrong=str(error)))
        return self.tick(seen, turns, wanted)

    def undo(self, seen: Mark, turns: list[Turn], wanted: str | None, event: gr.EventData) -> Shown:
        """Put back what was deleted last."""
        try:
            self._desk.undo(_number(event._data.get("number")))
        except AskaiError as error:
            wrong = panels.render_removed(self._desk.removal, wrong=str(error))
            return self.tick(seen, turns, wanted)._replace(removed=wrong)
        return self.tick(seen, turns, wanted)


def _citation_of(turns: list[Turn], data: dict[str, Any]) -> Citation | None:
    turn, number = _number(data.get("turn"), -1), _number(data.get("number"), -1)
    if not 0 <= turn < len(turns):
        return None
    answer = turns[turn]
    cited = answer.citations if isinstance(answer, Answer) else ()
    return next((c for c in cited if c.number == number), None)


def _number(value: object, otherwise: int = 0) -> int:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else otherwise


def _mode(value: str | None) -> Mode:
    """The mode of this name; the balanced one for a name that there is not."""
    return Mode(value) if value in set(Mode) else Mode.BALANCED


def _tab(name: str) -> Any:
    return gr.Tabs(selected=name)
