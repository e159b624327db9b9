"""A running page and a real browser for ``test_page.py``."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

import askai.types

SOURCE = Path(askai.types.__file__).parents[1]
PATIENCE_MS = 90_000
"""For everything that is waited for: tests wait on conditions, a slow machine only takes longer."""
expect.set_options(timeout=PATIENCE_MS)

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
_SERVE = """
import sys
from pathlib import Path
from askai.ui.page import launch
launch(Path(sys.argv[1]), Path(sys.argv[2]), "127.0.0.1", 0)
"""


@dataclass(frozen=True)
class Served:
    """A page that is being served, over a corpus and an index of its own."""

    url: str
    corpus: Path
    index: Path


def environment() -> dict[str, str]:
    """For child processes: this source tree, UTF-8, nothing waiting in a buffer."""
    paths = [str(SOURCE), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in paths if p), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def served(corpus: Path, index: Path) -> Iterator[Served]:
    """Serve the real page in a process of its own, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(corpus), str(index)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
    )
    lines: queue.Queue[str] = queue.Queue()
    said: list[str] = []

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                said.append(line)
                lines.put(line)
        lines.put("")

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        while True:
            line = lines.get(timeout=PATIENCE_MS / 1000)
            if not line:
                pytest.fail("页面没有启动：\n" + "".join(said))
            if "http://" in line:
                break
        yield Served("http" + line.partition("http")[2].partition("/（")[0], corpus, index)
    finally:
        process.terminate()
        process.wait(timeout=30)
        listener.join(timeout=30)
    assert "Traceback" not in "".join(said), "".join(said)


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next((p for p in map(shutil.which, names) if p), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module: while Playwright is open no other test can run an event loop.

    Where there is no Chromium the tests are skipped, but never in CI.
    """
    path = _chromium()
    if path is None:
        reason = "没有找到 Chromium（Debian：apt-get install chromium），或用环境变量 CHROMIUM 指出它的位置"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield started
        started.close()


class Visit:
    """A browser tab on the page, with everything it asked for and every error it met."""

    def __init__(self, context: BrowserContext, at: Served) -> None:
        self.context = context
        self.at = at
        self.requests: list[str] = []
        self.errors: list[str] = []
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", self._note)
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.goto(at.url)
        self.page.wait_for_selector("#state .state:not(.building)")
        self.page.wait_for_selector("#question textarea")

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)

    def _refuse(self, dialog: Dialog) -> None:
        self.errors.append(dialog.message)
        dialog.dismiss()

    def ready(self) -> Visit:
        """Wait until the index is there."""
        self.page.wait_for_function("document.querySelector('#state').innerText.includes('篇文章')")
        return self

    def ask(self, question: str) -> None:
        """Type a question, send it with Enter and wait for its reply."""
        before = self.page.locator(".turn").count()
        self.page.fill("#question textarea", question)
        self.page.press("#question textarea", "Enter")
        self.page.locator(".turn").nth(before).locator(".reply:not(.waiting)").wait_for()

    def tab(self, name: str) -> None:
        """Open a tab of the side column."""
        self.page.get_by_role("tab", name=name, exact=True).first.click()

    def round_trip(self) -> None:
        """Let one event go to the server and back: what was sent before it has been shown by then."""
        self.tab("文章")
        self.page.fill("#wanted input, #wanted textarea", "没有这样的标题")
        self.page.wait_for_selector("#listing .none")

    def rebuild(self) -> str:
        """Press the button and wait for the report."""
        self.tab("文章")
        return self.outcome(lambda: self.page.click("#rebuild"))

    def outcome(self, act: Callable[[], object]) -> str:
        """What the page tells of the work that an action begins, once it has ended."""
        told = "(document.querySelector('#report .outcome')?.dataset.number ?? '')"
        before = self.page.evaluate(told)
        act()
        self.page.wait_for_function(f"before => {told} && {told} !== before", arg=before)
        return self.page.inner_text("#report")

    def upload(self, *files: Path) -> str:
        """Upload files at once and wait until they are answered from, or refused."""
        self.tab("文章")
        return self.outcome(lambda: self.page.set_input_files("#files input[type=file]", list(files)))

    def listed(self, title: str) -> Locator:
        """The line of an article in the list."""
        return self.page.locator("#listing li").filter(has_text=title)

    def remove(self, title: str) -> None:
        """Delete an article, with both clicks, and wait until the way back is offered."""
        self.tab("文章")
        button = self.listed(title).locator(".remove")
        button.click()
        expect(button).to_contain_text("确认删除")
        button.click()
        expect(self.page.locator("#removed .removed")).to_contain_text(title)

    def marked(self) -> str:
        """The excerpt that is marked in the opened article."""
        self.page.wait_for_selector("#reader mark.excerpt")
        return "".join(self.page.locator("#reader mark.excerpt").all_text_contents())
