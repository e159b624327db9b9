"""Hostile text in bodies, titles, file names and questions, in a real browser: shown as text, never more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, expect

from askai.assistant import Assistant
from askai.types import Article
from askai.ui.markup import token
from hostile_texts import PAYLOADS
from page_fixtures import Visit, browser, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["browser"]  # a fixture: pytest finds it in this module

# The text of an element as it was before odd characters were replaced by elements with their codes;
# words for screen readers alone are left out.
TEXT = """root => {
    const read = (node) => {
        if (node.nodeType === Node.TEXT_NODE) return node.data;
        if (node.classList.contains("sr")) return "";
        if (node.dataset.code) return String.fromCodePoint(parseInt(node.dataset.code.slice(2), 16));
        return [...node.childNodes].map(read).join("");
    };
    return read(root);
}"""
# What is not ours in the parts of the page that show texts of others; how many there are of the rest.
AUDIT = """allowed => {
    const roots = document.querySelectorAll(".turns, .paper, .list, .failures, .pending, #removed p, #report p, .state");
    const foreign = new Set();
    for (const root of roots) for (const element of [root, ...root.querySelectorAll("*")]) {
        if (element.namespaceURI !== "http://www.w3.org/1999/xhtml" || !allowed.tags.includes(element.localName))
            foreign.add(element.outerHTML.slice(0, 200));
        for (const { name, value } of element.attributes)
            if (!allowed.attributes.includes(name)) foreign.add(`${name}=${value}`.slice(0, 200));
    }
    const kinds = "script,iframe,object,embed,base,link,meta,form,style,img,video,audio,template,math,marquee";
    const count = Object.fromEntries(kinds.split(",").map(kind => [kind, document.querySelectorAll(kind).length]));
    return { foreign: [...foreign], count, texts: roots.length, pwned: window.__pwned ?? null, at: location.href };
}"""
ALLOWED = {
    "tags": (
        "article b blockquote button dd details div dl dt footer h2 header li mark ol p progress section span strong "
        "summary ul"
    ).split(),
    "attributes": (
        "class role title type tabindex open value max aria-label aria-hidden aria-busy data-do data-turn data-number "
        "data-text data-question data-article data-file data-whole data-at data-nonce data-code data-sure"
    ).split(),
}


@dataclass(frozen=True)
class Case:
    """One payload where it stands: its article as it was read, and the question about it."""

    name: str
    article: Article
    failed: str
    question: str

    @property
    def asked(self) -> str:
        """The question as the page shows it: control characters are spaces."""
        return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", self.question).split())


def _file_name(text: str) -> str:
    return re.sub(r"[/\x00]", "∕", text).encode()[:180].decode("utf-8", "ignore")


def _write(corpus: Path) -> dict[str, tuple[Path, Path]]:
    """An article and a file that cannot be read for each payload."""
    files = {}
    for number, (name, payload) in enumerate(PAYLOADS.items()):
        title = json.dumps(f"{number}号 {payload}"[:180], ensure_ascii=False)
        body = f"第{number}号装置的编号是 KX-{1000 + number}，标签写着{payload}，装在{number}号机房。\n\n# {payload}\n\n{payload}\n"
        good = corpus / f"{number} {_file_name(payload)}.md"
        good.write_text(f"---\ntitle: {title}\nauthor: {title}\nsource: {title}\n---\n{body}", "utf-8")
        bad = corpus / f"坏{number} {_file_name(payload)}.txt"
        bad.write_bytes(b"")
        files[name] = good, bad
    return files


@pytest.fixture(scope="module")
def hostile(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visit, list[Case]]]:
    """One tab on a page over all payloads, and at the end: nothing ran, nothing was asked for elsewhere."""
    folder = tmp_path_factory.mktemp("hostile")
    corpus = folder / "articles"
    corpus.mkdir()
    files = _write(corpus)
    with served(corpus, folder / "index") as at:
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        visit = Visit(context, at).ready()
        assistant = Assistant.open(at.index)
        by_path = {a.path: a.id for a in assistant.articles()}
        cases = [
            Case(name, assistant.article(by_path[good.as_posix()]), bad.as_posix(),
                 f"KX-{1000 + number} 装在哪个机房？{PAYLOADS[name]}"[:900])
            for number, (name, (good, bad)) in enumerate(files.items())
        ]  # fmt: skip
        yield visit, cases
        context.close()
    assert visit.errors == []
    assert {urlsplit(url).hostname for url in visit.requests} <= {"127.0.0.1", None}
    assert not [url for url in visit.requests if "pwned" in url]
    assert {urlsplit(url).scheme for url in visit.requests} <= {"http", "data", "blob"}


class Audit:
    """What is in the page now, against what was in it before any payload was shown."""

    def __init__(self, visit: Visit) -> None:
        self._page, self._home = visit.page, visit.page.url
        self._before = self._page.evaluate(AUDIT, ALLOWED)["count"]

    def __call__(self) -> None:
        found = self._page.evaluate(AUDIT, ALLOWED)
        assert found["foreign"] == []
        assert found["count"] == self._before
        assert found["pwned"] is None
        assert found["at"] == self._home
        assert found["texts"] >= 3


def _text(element: Locator) -> str:
    return str(element.evaluate(TEXT))


def _open(visit: Visit, button: Locator, case: Case) -> None:
    """Press a button that opens an article, and see all of it."""
    paper = visit.page.locator("#reader .paper")
    before = paper.get_attribute("data-nonce")
    button.dispatch_event("click")  # the list may be in the tab behind
    expect(paper).not_to_have_attribute("data-nonce", before or "none")
    assert _text(paper.locator("h2")) == case.article.title, case.name
    assert _text(paper.locator(".text")) == case.article.text, case.name
    assert case.article.path in _text(paper.locator("dl")), case.name


def test_there_are_many_payloads() -> None:
    assert len(PAYLOADS) >= 40
    assert len(set(PAYLOADS.values())) == len(PAYLOADS)


def test_hostile_questions_articles_and_citations_are_text(hostile: tuple[Visit, list[Case]]) -> None:
    visit, cases = hostile
    audit = Audit(visit)
    for number, case in enumerate(cases):
        visit.ask(case.question)
        turn = visit.page.locator(".turn").last
        assert _text(turn.locator(".question")) == case.asked, case.name
        assert turn.locator(".trouble").count() == 0, case.name
        sources = turn.locator(".source .where")
        titles = [_text(source) for source in sources.all()]
        assert case.article.title in titles, case.name
        _open(visit, sources.nth(titles.index(case.article.title)), case)
        visit.page.locator("#reader mark.excerpt").first.wait_for()
        if number % 8 == 7:
            audit()
    audit()
    copied = visit.page.locator(".copy").evaluate_all("all => all.map(button => button.dataset.text)")
    assert len(copied) == len(cases)


def test_hostile_names_in_the_lists_are_text(hostile: tuple[Visit, list[Case]]) -> None:
    visit, cases = hostile
    visit.tab("文章")
    audit = Audit(visit)
    listed = visit.page.locator("#listing .where")
    expect(listed).to_have_count(len(cases))
    assert {_text(title) for title in listed.all()} == {case.article.title for case in cases}
    failed = visit.page.locator("#failures .failures b")
    assert {_text(path) for path in failed.all()} == {case.failed for case in cases}
    (visit.at.corpus / f"新 {_file_name(PAYLOADS['img-onerror'])}.md").write_text("新来的一篇。", "utf-8")
    visit.tab("原文")
    visit.tab("文章")
    expect(visit.page.locator("#failures .pending")).to_contain_text("onerror=")
    audit()
    visit.rebuild()
    for case in cases:
        row = visit.page.locator(f'#listing .listed[data-article="{token(case.article.id)}"]')
        _open(visit, row, case)
    audit()


def test_hostile_articles_are_deleted_and_failed_ones_read_again_by_their_names(
    hostile: tuple[Visit, list[Case]],
) -> None:
    visit, cases = hostile
    visit.tab("文章")
    audit = Audit(visit)
    page = visit.page
    for case in cases:
        _press_twice(page.locator(f'#listing .remove[data-article="{token(case.article.id)}"]'))
        page.wait_for_function(
            f"title => {{ const at = document.querySelector('#removed .removed > span'); "
            f"return at && ({TEXT})(at) === title }}",
            arg=f"已删除《{case.article.title}》",
        )
        assert not Path(case.article.path).exists(), case.name
    audit()
    for case in cases[::8]:
        row = page.locator("#failures li").filter(has=page.locator(f'[data-file="{token(case.failed)}"]'))
        assert "文件是空的" in visit.outcome(lambda row=row: row.locator(".retry").click())
        _press_twice(row.locator(".remove"))
        expect(row).to_have_count(0)
        assert not Path(case.failed).exists(), case.name
    audit()
    page.click("#removed .undo")
    expect(page.locator("#removed .done")).to_be_visible()
    audit()


def _press_twice(button: Locator) -> None:
    button.click()
    button.click()
