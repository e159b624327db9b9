"""Reading-comprehension data sets to examples: SQuAD-format JSON, CMRC 2018's own form, JSON Lines."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askai.errors import InputError
from askai.types import Article

_LINES = {".jsonl", ".ndjson"}


@dataclass(frozen=True, slots=True)
class Example:
    """A question over a context; without ``answers`` it has none. A distractor has no question."""

    id: str
    title: str
    question: str
    context: str
    answers: tuple[str, ...]


def read_dataset(path: Path) -> list[Example]:
    """Read a data set, packed (``.xz``) or not.

    Knows SQuAD v1.1 and v2.0 (and CMRC 2018, DRCD, XQuAD, MLQA, which come so), CMRC 2018's own
    nested form (``context_text``, ``query_text``) and records ``{id, title, question, context,
    answers}``, in a list or one a line. Raises ``InputError``.
    """
    text = _text(path)
    try:
        records = list(_records(path, text))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"看不懂数据集 {path}（缺少或写错了 {error}）。请用 SQuAD 格式的 JSON，"
            "或每行一个 {id, title, question, context, answers} 的 JSON Lines。"
        ) from error
    examples = [example for example in records if example.context.strip()]
    if not examples:
        raise InputError(f"数据集 {path} 里没有可用的条目。请检查文件内容。")
    return examples


def pool(examples: Sequence[Example]) -> list[Article]:
    """Every different context, in order of appearance, as an article under its data set's title."""
    titles: dict[str, str] = {}
    for example in examples:
        titles.setdefault(example.context, example.title)
    return [
        Article(f"context-{number}", title, f"context-{number}", context)
        for number, (context, title) in enumerate(titles.items())
    ]


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"无法读取数据集 {path}（{error.strerror}）。请检查路径。") from error
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"数据集 {path} 不是 UTF-8 文本，或压缩包已损坏（{error}）。") from error


def _records(path: Path, text: str) -> Iterator[Example]:
    if _LINES.intersection(path.suffixes):
        yield from _lines(path, text)
        return
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError:
        # Some JSON Lines files are named .json.
        yield from _lines(path, text)
        return
    entries = loaded if isinstance(loaded, list) else loaded.get("data", [loaded])
    for entry in entries:
        yield from _entry(entry)


def _lines(path: Path, text: str) -> Iterator[Example]:
    # Not splitlines: U+2028 and its like may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"数据集 {path} 第 {number} 行不是 JSON（{error}）。请改正后再试。") from error
        yield from _entry(record)


def _entry(entry: dict[str, Any]) -> Iterator[Example]:
    title = str(entry.get("title") or "")
    if "paragraphs" in entry:
        for paragraph in entry["paragraphs"]:
            yield from _paragraph(paragraph, title)
    elif "qas" in entry:
        yield from _paragraph(entry, title)
    else:
        yield _example(entry, title, entry["context"])


def _paragraph(paragraph: dict[str, Any], title: str) -> Iterator[Example]:
    context = paragraph["context"] if "context" in paragraph else paragraph["context_text"]
    for qa in paragraph["qas"]:
        yield _example(qa, title, context)
    if not paragraph["qas"]:
        yield Example("", title, "", context, ())


def _example(qa: dict[str, Any], title: str, context: str) -> Example:
    question = qa.get("question") or qa.get("query_text") or ""
    golds = [gold if isinstance(gold, str) else gold["text"] for gold in qa.get("answers") or ()]
    if qa.get("is_impossible"):
        golds = []
    id = str(qa.get("id") or qa.get("query_id") or "")
    return Example(id, title, str(question), str(context), tuple(dict.fromkeys(g for g in golds if g.strip())))
