"""What a browser tab does on the chat page, over plain HTTP: open, ask, press 重建索引; and the server it talks to."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

ASKAI = [sys.executable, "-m", "askai"]
PATIENCE_S = 60
_COPIED = re.compile(r'data-do="copy" data-text="([^"]*)"')
_CITED = re.compile(r"^\[\d+\] 《.*?》（(.+?)，(?:第 [\d,]+ 页，)?第 (\d+)–(\d+) 字）：", re.MULTILINE)


class PageError(Exception):
    """The page did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation as the page shows it: ``quote`` stands at ``start:end`` of the article at ``path``."""

    path: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The last turn of a conversation; ``trouble`` is the page's message where it could not answer."""

    found: bool
    trouble: str
    citations: tuple[Cited, ...]


def reply_of(conversation: str) -> Reply:
    """Read the last turn of a conversation's HTML."""
    last = conversation.rpartition('<section class="turn">')[2]
    if 'class="reply trouble"' in last:
        return Reply(False, re.sub(r"<[^>]+>", " ", last).strip(), ())
    copied = _COPIED.search(last)
    if copied is None:
        raise PageError(f"no reply in {last[:200]!r}")
    text = unescape(copied.group(1))
    heads = list(_CITED.finditer(text))
    ends = [*(head.start() - 1 for head in heads), len(text)][1:] if heads else []
    cited = (
        Cited(h.group(1), int(h.group(2)) - 1, int(h.group(3)), text[h.end() : end])
        for h, end in zip(heads, ends, strict=True)
    )
    return Reply('class="reply found"' in last, "", tuple(cited))


class Tab:
    """One open page: a session of its own, events as the page's script sends them."""

    def __init__(self, port: int, events: dict[str, tuple[int, int]]) -> None:
        self._port, self._events = port, events
        self._session = secrets.token_hex(6)

    def open(self) -> None:
        """Load the page and let it fill in the list of articles. Raises ``PageError``."""
        request(self._port, "GET", "/")
        self._run("tick", [])

    def ask(self, question: str) -> Reply:
        """Ask; returns when the answer is there. Raises ``PageError``."""
        return reply_of(self._run("ask", [question, None, "均衡"])[0])

    def after_asking(self) -> None:
        """What the page does behind each answer: ask whether another generation serves."""
        self._run("tick", [])

    def rebuild(self) -> str:
        """Press 重建索引; returns the report as HTML. Raises ``PageError``."""
        return str(self._run("rebuild", [])[0])

    def _run(self, event: str, data: list[Any]) -> list[Any]:
        number, inputs = self._events[event]
        # What is kept on the server is sent as nothing, as the page does.
        data = [*data, *[None] * (inputs - len(data))]
        body = {"data": data, "event_data": None, "fn_index": number, "session_hash": self._session,
                "trigger_id": None}  # fmt: skip
        joined = json.loads(request(self._port, "POST", "/gradio_api/queue/join?", body))
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            connection.request("GET", f"/gradio_api/queue/data?session_hash={self._session}")
            response = connection.getresponse()
            while line := response.readline():
                # The last message holds everything: the ones before it are not looked into.
                if line.startswith(b'data: {"msg":"process_completed"') or b'"unexpected_error"' in line[:60]:
                    return self._outcome(json.loads(line[6:]), joined["event_id"])
        except (OSError, http.client.HTTPException) as error:
            raise PageError(f"{event}: {error!r}") from error
        finally:
            connection.close()
        raise PageError(f"{event}: the stream ended without an answer")

    @staticmethod
    def _outcome(message: dict[str, Any], event_id: str) -> list[Any]:
        if message.get("event_id") != event_id or not message.get("success"):
            raise PageError(f"no success: {json.dumps(message, ensure_ascii=False)[:300]}")
        return list(message["output"]["data"])


def request(port: int, method: str, path: str, body: object = None) -> bytes:
    """One request. Raises ``PageError`` for anything but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        sent = json.dumps(body).encode() if body is not None else None
        connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
        response = connection.getresponse()
        found = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise PageError(f"{path}: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise PageError(f"{path}: HTTP {response.status} {found[:200]!r}")
    return found


def events_of(port: int) -> dict[str, tuple[int, int]]:
    """Number and count of inputs of the page's events, by the name of what handles them."""
    config = json.loads(request(port, "GET", "/config"))
    return {d["api_name"]: (d["id"], len(d["inputs"])) for d in config["dependencies"] if d["api_name"]}


@dataclass(frozen=True, slots=True)
class Server:
    """A running ``askai chat``."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """Processor time that it has used; 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """``askai chat`` over ``folder``'s ``corpus`` and ``index``, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*ASKAI, "chat", "--port", str(port)], cwd=folder, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                events_of(port)
                break
            except PageError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"the page did not come up: {log.read_text('utf-8', 'replace')}")
        yield Server(port, process, log)
    finally:
        process.terminate()
        process.wait()
