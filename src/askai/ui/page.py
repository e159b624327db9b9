"""The chat page: its parts, which event does what, and serving it."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from askai.corpus import LARGEST, SUFFIXES
from askai.errors import InputError
from askai.types import Mode
from askai.ui import panels
from askai.ui.desk import Desk, Mark
from askai.ui.guard import Guard, is_loopback
from askai.ui.handlers import BUSY_S, Handlers
from askai.ui.render import render_conversation
from askai.ui.words import translations

HERE = Path(__file__).parent

_FONT = [
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC",
    "Source Han Sans SC", "WenQuanYi Micro Hei", "system-ui", "sans-serif",
]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
_TITLE = "askai · 问文章"
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {"show_progress": "hidden", **_PRIVATE}
# Gradio takes one at a time by default: fifty people would stand in one line. Reading, most of a
# question's time, leaves Python's lock to the others.
_ASKED: dict[str, Any] = {"concurrency_limit": max(4, os.cpu_count() or 1), "concurrency_id": "ask", **_QUIET}


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components that events read and write."""

    turns: gr.State
    seen: gr.State
    visitor: gr.State
    name: gr.Textbox
    timer: gr.Timer
    state: gr.HTML
    conversation: gr.HTML
    question: gr.Textbox
    send: gr.Button
    clear: gr.Button
    mode: gr.Radio
    tabs: gr.Tabs
    reader: gr.HTML
    library: gr.Tab
    wanted: gr.Textbox
    removed: gr.HTML
    listing: gr.HTML
    files: gr.File
    title: gr.Textbox
    text: gr.Textbox
    add: gr.Button
    rebuild: gr.Button
    cancel: gr.Button
    report: gr.HTML
    failures: gr.HTML

    @property
    def standing(self) -> list[Any]:
        """What shows how things stand, in the order of ``handlers.Shown``."""
        return [
            self.conversation, self.state, self.report, self.cancel, self.removed, self.listing,
            self.failures, self.seen, self.timer,
        ]

    @property
    def looking(self) -> list[Any]:
        """What is known of a tab when it looks how things stand."""
        return [self.seen, self.turns, self.wanted]


def _html(value: str, name: str, js: str | None = None, **more: Any) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=js, apply_default_css=False, **more)


def _chat_column() -> dict[str, Any]:
    # Gradio finds the names of a component's own events by their quotes in this script.
    js = "const events = ['ask', 'cite']; askai.conversation(element, trigger, watch);"
    with gr.Column(scale=6, min_width=320, elem_id="chat"):
        conversation = _html(render_conversation([], welcome=panels.render_welcome([])), "conversation", js)
        with gr.Row(elem_id="composer"):
            question = gr.Textbox(
                label="问题", show_label=False, container=False, lines=1, max_lines=6, max_length=2000,
                placeholder="输入问题，按回车发送", elem_id="question", scale=8,
                html_attributes=gr.InputHTMLAttributes(enterkeyhint="send", lang="zh-CN"),
            )
            send = gr.Button("发送", variant="primary", elem_id="send", scale=0, min_width=72)
            clear = gr.Button("清空", variant="secondary", elem_id="clear", scale=0, min_width=60)
        with gr.Row(elem_id="dial"):
            mode = gr.Radio(
                [m.value for m in Mode], value=Mode.BALANCED.value, label="回答尺度", elem_id="mode",
                container=False, scale=0, min_width=0, interactive=True,
            )
            _html(panels.MODES, "modes")
    return {"conversation": conversation, "question": question, "send": send, "clear": clear, "mode": mode}


def local_only(files: gr.File) -> None:
    """Refuse a web address where an uploaded file belongs: Gradio would fetch it."""
    move = files.async_move_resource_to_block_cache

    async def checked(path: str | Path | None) -> str | None:
        if path is not None and re.match(r"\s*\w+://", str(path)):
            raise InputError("这里只接受上传的文件，不接受网址。")
        return await move(path)

    files.async_move_resource_to_block_cache = checked  # type: ignore[method-assign, assignment]


def _library_tab() -> dict[str, Any]:
    kinds = sorted(SUFFIXES)
    parts: dict[str, Any] = {}
    with gr.Tab("文章", id="library", elem_id="library", render_children=True) as parts["library"]:
        parts["wanted"] = gr.Textbox(
            label="按标题或路径筛选", placeholder="输入标题里的字", lines=1, max_lines=1, elem_id="wanted"
        )
        parts["removed"] = _html(
            "", "removed", "const events = ['undo', 'remove']; askai.removed(element, trigger, watch);"
        )
        parts["listing"] = _html(
            "", "listing", "const events = ['article', 'remove']; askai.list(element, trigger, watch);"
        )
        parts["files"] = gr.File(
            label="上传文章（可多选）",
            file_count="multiple", file_types=kinds, height=120, elem_id="files",
        )
        local_only(parts["files"])
        _html(panels.KINDS_HINT + panels.TOO_BIG, "too-big")
        with gr.Accordion("粘贴一篇文章", open=False, elem_id="pasting"):
            parts["title"] = gr.Textbox(label="标题", max_length=200, elem_id="paste-title")
            parts["text"] = gr.Textbox(label="正文", lines=5, max_lines=12, elem_id="paste-text")
            parts["add"] = gr.Button("加入文章", elem_id="paste-add")
        with gr.Row(elem_id="building"):
            parts["rebuild"] = gr.Button("重建索引", variant="primary", elem_id="rebuild")
            parts["cancel"] = gr.Button("取消", elem_id="cancel", visible=False, scale=0, min_width=88)
        parts["report"] = _html("", "report")
        parts["failures"] = _html(
            "", "failures", "const events = ['retry', 'remove']; askai.panel(element, trigger, watch);"
        )
    return parts


def _side_column() -> dict[str, Any]:
    js = "const events = ['article']; askai.reader(element, trigger, watch);"
    with gr.Column(scale=5, min_width=320, elem_id="side"), gr.Tabs(elem_id="tabs") as tabs:
        with gr.Tab("原文", id="reader", elem_id="reader-tab", render_children=True):
            reader = _html(panels.EMPTY_READER, "reader", js)
        library = _library_tab()
    return {"tabs": tabs, "reader": reader, **library}


def _lay_out() -> _Parts:
    with gr.Row(elem_id="top"):
        _html(
            '<div class="brand"><h1>askai</h1><p>只根据本机上的文章回答，逐字引用，注明出处</p></div>',
            "masthead",
        )
        state = _html(panels.render_state(Desk.OPENING), "state")
    with gr.Row(elem_id="main", equal_height=False):
        chat = _chat_column()
        side = _side_column()
    return _Parts(
        turns=gr.State([]), seen=gr.State(Mark()), visitor=gr.State(""), name=gr.Textbox(visible=False),
        timer=gr.Timer(BUSY_S), state=state, **chat, **side,
    )


def _bind_chat(p: _Parts, does: Handlers) -> None:
    talk = [p.conversation, p.turns, p.question]
    asked = [
        # By default Gradio drops, silently, what is sent while an earlier submit is under way.
        gr.on(
            [p.question.submit, p.send.click], does.ask, [p.question, p.turns, p.mode, p.visitor], talk,
            trigger_mode="always_last", **_ASKED,
        ),
        p.conversation.ask(does.ask_offered, [p.turns, p.mode, p.visitor], talk, **_ASKED),
    ]
    for event in asked:
        # Another process may have written a new generation, which the question took up.
        event.then(does.tick, p.looking, p.standing, **_QUIET)
    p.mode.input(does.choose, [p.mode, p.turns, p.visitor], None, **_QUIET)
    p.clear.click(does.clear, [p.mode, p.visitor], [*talk, p.reader], **_QUIET)
    p.conversation.cite(does.open_citation, [p.turns], [p.reader, p.tabs], **_QUIET)
    for source in (p.listing, p.reader):
        source.article(does.open_article, None, [p.reader, p.tabs], **_QUIET)


def _bind_library(p: _Parts, does: Handlers) -> None:
    # Not ``input``: that one misses what an input method or a paste puts in.
    p.wanted.change(does.filter, [p.wanted], [p.listing], trigger_mode="always_last", **_QUIET)
    p.library.select(does.look, None, [p.failures], **_QUIET)
    p.files.upload(does.upload, [p.files, *p.looking], [p.files, *p.standing], **_QUIET)
    p.add.click(does.paste, [p.title, p.text, *p.looking], [p.title, p.text, *p.standing], **_QUIET)
    p.rebuild.click(does.rebuild, p.looking, p.standing, **_QUIET)
    p.cancel.click(does.cancel, p.looking, p.standing, **_QUIET)
    p.failures.retry(does.retry, p.looking, p.standing, **_QUIET)
    p.removed.undo(does.undo, p.looking, p.standing, **_QUIET)
    for source in (p.listing, p.failures, p.removed):
        source.remove(does.remove, p.looking, p.standing, **_QUIET)


def build_page(desk: Desk) -> gr.Blocks:
    """The page over a desk. Serve it with ``launch``, which adds the looks and the guard."""
    does = Handlers(desk)
    page = gr.Blocks(title=_TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600))
    with page:
        parts = _lay_out()
        _bind_chat(parts, does)
        _bind_library(parts, does)
        arrived = page.load(
            does.arrive, [parts.name], [parts.visitor, parts.turns, parts.mode, parts.conversation],
            js="() => [askai.visitor()]", **_QUIET,
        )
        arrived.then(does.tick, parts.looking, parts.standing, **_QUIET)
        parts.timer.tick(does.tick, parts.looking, parts.standing, **_QUIET)
    return page


def _theme() -> gr.themes.Base:
    # Fonts of the system alone: a named web font would be asked for from another host.
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal, neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md, font=_FONT, font_mono=_MONO,
    )


def _head() -> str:
    # A style element rather than the ``css`` argument: that one is rewritten and loses @media rules.
    css = (HERE / "page.css").read_text("utf-8")
    script = (HERE / "page.js").read_text("utf-8")
    return f"<style>{css}</style><script>{script}</script>"


def _checked(host: str, port: int, auth: tuple[str, str] | None) -> None:
    if not 0 <= port <= 65535:
        raise InputError(f"端口 {port} 不在 0 到 65535 之间。请换一个端口。")
    if not is_loopback(host) and auth is None:
        raise InputError(
            f"地址 {host} 能从别的机器访问，而页面可以读文章、加文章，所以必须设密码。"
            "请加上 --auth 用户:密码（用 python app.py 时设环境变量 AUTH=用户:密码），或改回 127.0.0.1。"
        )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def launch(
    corpus: Path, index: Path, host: str = "127.0.0.1", port: int = 7860,
    auth: tuple[str, str] | None = None,
) -> None:
    """Serve the page until interrupted; the index is opened, or built, meanwhile.

    Raises ``InputError`` for a host that others can reach without ``auth``, or a port that is taken.
    """
    _checked(host, port, auth)
    port = port or _free_port()
    desk = Desk(corpus, index)
    page = build_page(desk)
    try:
        _, url, _ = page.launch(
            server_name=host, server_port=port, auth=auth, auth_message="请输入用户名和密码",
            prevent_thread_lock=True, quiet=True, share=False, inbrowser=False, ssr_mode=False,
            show_error=False, max_file_size=LARGEST, footer_links=[], run_history=False,
            enable_monitoring=False, mcp_server=False, pwa=False, theme=_theme(), i18n=translations(),
            head=_head(),
            favicon_path=HERE / "favicon.svg",
            app_kwargs={"middleware": [Middleware(Guard, local=is_loopback(host))]},
        )
    except OSError as error:
        raise InputError(
            f"无法在 {host}:{port} 上开启页面，端口可能已被占用。请换一个端口，例如 --port {port + 1}"
            f"（用 python app.py 时设环境变量 PORT={port + 1}）。"
        ) from error
    desk.start()
    _say(f"askai 已启动：{url}（按 Ctrl+C 退出）")
    try:
        while page.is_running:
            time.sleep(0.5)
    except KeyboardInterrupt:
        _say("正在退出…")
    finally:
        page.close(verbose=False)
