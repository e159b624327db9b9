"""Batches of questions: one JSON object a line in, one a line out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askai.errors import AskaiError, InputError

if TYPE_CHECKING:
    from askai.assistant import Assistant
    from askai.types import Answer, Mode

_SHAPE = '请写成 {"id": …, "question": "…"} 或 {"id": …, "turns": ["…", "…"]}'


def checked(question: str) -> str:
    """The question, if it can be written out again. Raises ``InputError`` for half characters.

    They come from bytes of a command line that are no UTF-8, and from ``\\ud800`` in JSON.
    """
    if any("\ud800" <= char <= "\udfff" for char in question):
        raise InputError("问题里有无法识别的字符（不是有效的 UTF-8）。请检查终端或文件的编码。")
    return question


@contextmanager
def open_lines(name: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file, or of standard input for ``-``. Raises ``InputError``."""
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise InputError(f"无法读取批量文件 {name}（{error.strerror}）。请检查路径。") from error
        yield file


def answer_lines(
    assistant: Assistant,
    lines: Iterable[bytes],
    top_k: int | None,
    mode: Mode,
    write: Callable[[dict[str, Any]], None],
) -> None:
    """Answer line by line, in order; each answer is written before the next line is read.

    Raises ``InputError`` with the number of the first line that cannot be answered.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip(b" \t\r\n\xef\xbb\xbf"):
            continue
        try:
            id, turns = _parse(line)
            answer = _converse(assistant, turns, top_k, mode)
        except AskaiError as error:
            raise InputError(f"第 {number} 行：{error} 前面各行已经答完。") from error
        write({"id": id} | answer.to_dict())


def _converse(assistant: Assistant, turns: list[str], top_k: int | None, mode: Mode) -> Answer:
    """The answer of the last turn, each understood from those before it."""
    *before, last = turns
    previous: list[Answer] = []
    for turn in before:
        previous.append(assistant.ask(turn, previous, top_k, mode))
    return assistant.ask(last, previous, top_k, mode)


def _parse(line: bytes) -> tuple[Any, list[str]]:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError("不是 UTF-8 文本。请把文件另存为 UTF-8。") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"不是合法的 JSON（{error}）。{_SHAPE}。") from error
    if not isinstance(record, dict) or ("question" in record) == ("turns" in record):
        raise InputError(f"question 和 turns 要有一个，且只有一个。{_SHAPE}。")
    turns = record["turns"] if "turns" in record else [record["question"]]
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
        raise InputError(f"问题要是文字，turns 要是不空的列表。{_SHAPE}。")
    id = record.get("id")
    if isinstance(id, str):
        checked(id)
    return id, [checked(turn) for turn in turns]
