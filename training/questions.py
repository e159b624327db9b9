"""Read and check the hand-written questions in ``training/data/questions``.

A batch is a folder with two kinds of file, both UTF-8:

``pairs-*.tsv``
    Questions over passages of ``pairs.jsonl.xz`` and of the reading sets that are trained on. A line
    ``# <key>`` names the passage (first ten hex digits of the SHA-1 of its text); the lines under it
    are questions.
``own-*.txt``
    Articles written for this project. ``=== title`` starts one, its paragraphs follow,
    a line ``---`` ends the text, and the questions come after it.

A question line is ``question<TAB>answer``. The answer is an exact substring of the passage, or
``-`` where the passage looks right but does not hold the answer. A third field, when present, is
a piece of the passage that contains the answer and occurs only once. A follow-up is written
``first question || follow-up<TAB>answer``.

Run as a program it checks every batch: ``python training/questions.py [--pairs FILE] [FOLDER …]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
QUESTIONS = HERE / "data" / "questions"
READING_SETS = ("cmrc2018_train", "drcd_train_part")
# Sources of pairs that are not trained on: text of third parties, and a set of which some questions stand
# in an evaluation set.
NOT_USED = frozenset({"xwlb", "classical_modern", "crud_news", "dureader2_demo"})
_CONTENT = re.compile(r"[0-9A-Za-z]+|[\u3400-\u9fff]")
_FUNCTION = set("的了是在有和与吗呢吧啊么什哪谁几多少怎样为何到底个这那它他她我你们会能要就都还也不没给把被让跟从对用上下来去说")


@dataclass(frozen=True, slots=True)
class Question:
    """One written question.

    ``passage_key`` names the passage, ``passage`` is its text, ``title`` its heading;
    ``previous`` is the question asked before, for a follow-up. ``start`` is the code-point offset
    of ``answer`` in ``passage``, -1 where the passage holds no answer.
    """

    batch: str
    passage_key: str
    title: str
    passage: str
    question: str
    previous: str
    answer: str
    start: int

    @property
    def held_out(self) -> bool:
        """Whether the passage belongs to the tenth kept back for development."""
        return int(hashlib.sha1(self.passage_key.encode()).hexdigest(), 16) % 10 == 0


def passage_key(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()[:10]


def load_pairs(path: Path) -> dict[str, tuple[str, str]]:
    """Map a passage's key to ``(heading, text)``.

    Passages are the rows of ``pairs.jsonl.xz`` and the contexts of the reading sets beside it.
    """
    found = {passage_key(row["positive"]): (row["query"], row["positive"]) for row in read_rows(path)}
    for name in READING_SETS:
        for row in read_rows(path.with_name(f"{name}.jsonl.xz")):
            found.setdefault(passage_key(row["context"]), (row["title"], row["context"]))
    return found


def read_rows(path: Path) -> Iterator[dict]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _locate(passage: str, answer: str, around: str) -> int:
    """Offset of the answer, inside ``around`` where given; raises ValueError when it is not there."""
    if around:
        outer = passage.find(around)
        inner = around.find(answer)
        if outer < 0 or inner < 0:
            raise ValueError("the third field is not in the passage, or the answer not in it")
        return outer + inner
    start = passage.find(answer)
    if start < 0:
        raise ValueError("the answer is not an exact substring of the passage")
    return start


def _parse_line(line: str) -> tuple[str, str, str, str]:
    fields = line.split("\t")
    if len(fields) not in (2, 3):
        raise ValueError("expected question<TAB>answer[<TAB>piece around it]")
    question, _, follow = fields[0].partition("||")
    previous, question = (question.strip(), follow.strip()) if follow else ("", question.strip())
    answer = fields[1].strip()
    if not question or not answer:
        raise ValueError("empty question or answer")
    return previous, question, answer, fields[2].strip() if len(fields) == 3 else ""


def _own_articles(path: Path) -> Iterator[tuple[str, str, list[tuple[int, str]]]]:
    title, body, lines, in_body = "", [], [], False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("=== "):
            if title:
                yield title, "\n".join(body).strip(), lines
            title, body, lines, in_body = line[4:].strip(), [], [], True
        elif line.strip() == "---":
            in_body = False
        elif in_body:
            body.append(line.strip())
        elif line.strip():
            lines.append((number, line))
    if title:
        yield title, "\n".join(body).strip(), lines


def _pair_groups(path: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    key, lines = "", []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("# "):
            if key:
                yield key, lines
            key, lines = line[2:].strip(), []
        elif line.strip():
            lines.append((number, line))
    if key:
        yield key, lines


def read_batch(
    folder: Path, pairs: dict[str, tuple[str, str]]
) -> Iterator[Question | str]:
    """Yield each question of a batch, or a sentence saying what is wrong with its line."""
    groups: list[tuple[Path, str, str, str, list[tuple[int, str]]]] = []
    for path in sorted(folder.glob("pairs-*.tsv")):
        for key, lines in _pair_groups(path):
            title, text = pairs.get(key, ("", ""))
            if not text:
                yield f"{path.name}: no passage {key}"
                continue
            groups.append((path, key, title, text, lines))
    for path in sorted(folder.glob("own-*.txt")):
        for title, text, lines in _own_articles(path):
            groups.append((path, passage_key(text), title, text, lines))
    for path, key, title, text, lines in groups:
        for number, line in lines:
            try:
                previous, question, answer, around = _parse_line(line)
                start = -1 if answer == "-" else _locate(text, answer, around)
            except ValueError as error:
                yield f"{path.name}:{number}: {error}: {line}"
                continue
            answer = "" if start < 0 else answer
            yield Question(folder.name, key, title, text, question, previous, answer, start)


def overlap(question: Question) -> float:
    """Share of the question's content characters that stand in the sentence with the answer."""
    ends = [m.end() for m in re.finditer(r"[。！？!?；;\n]", question.passage)]
    left = max([e for e in ends if e <= question.start], default=0)
    right = min([e for e in ends if e >= question.start + len(question.answer)], default=None)
    sentence = set(_CONTENT.findall(question.passage[left:right].lower()))
    words = [w for w in _CONTENT.findall(question.question.lower()) if w not in _FUNCTION]
    return sum(w in sentence for w in words) / max(1, len(words))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--pairs", type=Path, default=HERE.parents[1] / "shared/data/train/pairs.jsonl.xz")
    options = parser.parse_args()
    pairs = load_pairs(options.pairs)
    wrong = 0
    for folder in options.folders or sorted(p for p in QUESTIONS.iterdir() if p.is_dir()):
        items = list(read_batch(folder, pairs))
        bad = [item for item in items if isinstance(item, str)]
        good = [item for item in items if isinstance(item, Question)]
        print(*bad, sep="\n") if bad else None
        shares = sorted(overlap(q) for q in good if q.answer)
        middle = shares[len(shares) // 2] if shares else 0.0
        print(
            f"{folder.name}: {len(good)} questions over {len({q.passage_key for q in good})} passages, "
            f"{sum(not q.answer for q in good)} unanswerable, {sum(bool(q.previous) for q in good)} "
            f"follow-ups, median overlap {middle:.2f}, {len(bad)} lines wrong"
        )
        wrong += len(bad)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
