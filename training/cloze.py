"""Self-supervised questions from running text, for pre-training: gaps to be found in passages.

Two kinds. Recurring spans (Ram et al. 2021, "Few-shot question answering by pretraining span
selection"): a sentence without words that stand elsewhere in its paragraphs as well; the gap is to be
found there. And thinned clozes: what is left of a sentence when a span and many of its words are
gone; the passage holds the whole sentence. No question word is put in: nothing pretends to be a
question that a person asked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from askai.text import fold, sentences, words
from reading_steps import Asked
from texts import pieces, reword

GAP = "□"
TEXTS = {"general": 0.5, "news": 1.0, "history": 0.5, "documentation": 0.2}
LONGEST_QUESTION = 60
_HAN = re.compile(r"[\u3400-\u9fff]")
_SOLID = re.compile(r"[0-9a-z\u3400-\u9fff][0-9a-z.%:+/\u3400-\u9fff-]*\Z")
_LOOSE = frozenset("的了是在有和与及或等也都就而但并这那其之为以于被把对将从到由向个中上下者所我你他她它们不很更最一人可能会要应当其他以及进行通过可以如果")


def blocks(folder: Path, rng: random.Random) -> list[list[str]]:
    """Runs of 16 neighbouring pieces of text, 100 to 300 characters each."""
    runs: list[list[str]] = []
    for name, share in TEXTS.items():
        run: list[str] = []
        for piece in pieces(folder / f"{name}.txt.xz", lambda: rng.randint(100, 260)):
            run.append(piece[:300])
            if len(run) == 16:
                if rng.random() < share:
                    runs.append(run)
                run = []
    rng.shuffle(runs)
    return runs


def _spans(text: str, begin: int, end: int, longest: int = 4) -> list[tuple[int, int]]:
    """Runs of up to ``longest`` words between two offsets that could be an answer."""
    cut = [(begin + at, begin + at + len(w), w) for w, at in words(text[begin:end])]
    found = []
    for i, (start, _, first) in enumerate(cut):
        if first in _LOOSE or not _SOLID.match(first):
            continue
        for _, stop, last in cut[i : i + longest]:
            if not _SOLID.match(last) or stop - start > 16:
                break
            if last not in _LOOSE and (stop - start > 1 or first.isdigit()):
                found.append((start, stop))
    return found


def _shortened(left: str, right: str, rng: random.Random) -> str:
    """The words around a gap, cut to a question's length; the gap is shown or not."""
    room = LONGEST_QUESTION - 2
    before = min(len(left), max(room - len(right), room // 2))
    gap = GAP if rng.random() < 0.6 else ""
    return f"{left[len(left) - before :]}{gap}{right[: room - before]}".replace("\n", " ")


def _recurring(text: str, rng: random.Random) -> Asked | None:
    cut = sentences(text)
    places: dict[str, set[int]] = {}
    where: list[tuple[int, int, int]] = []
    for number, (begin, end) in enumerate(cut):
        for start, stop in _spans(text, begin, end):
            places.setdefault(text[start:stop], set()).add(number)
            where.append((number, start, stop))
    again = [(n, a, b) for n, a, b in where if len(places[text[a:b]]) > 1 and b - a > 1]
    if not again:
        return None
    # Longer ones say more: 委员会 recurs by chance, 国家发展和改革委员会 does not.
    number, start, stop = rng.choices(again, [(b - a) ** 2 for _, a, b in again])[0]
    begin, end = cut[number]
    answer, rest = text[start:stop], text[:begin] + text[end:]
    spans = tuple((m.start(), m.end()) for m in re.finditer(re.escape(answer), rest))
    question = _shortened(_thinned(text[begin:start], 0.15, rng), _thinned(text[stop:end], 0.15, rng), rng)
    return Asked(question.strip(), ((rest, ""),), 0, spans) if spans and len(question) > 5 and len(rest) > 40 else None


def _thinned(text: str, share: float, rng: random.Random) -> str:
    return "".join(w for w, _ in words(text) if rng.random() >= share)


def _cloze(text: str, rng: random.Random) -> Asked | None:
    cut = sentences(text)
    begin, end = cut[rng.randrange(len(cut))]
    found = _spans(text, begin, end)
    if not found or end - begin < 10:
        return None

    def weight(span: tuple[int, int]) -> float:
        inside, around = text[slice(*span)], text[max(0, span[0] - 1) : span[1] + 1]
        return 4.0 if inside[0].isdigit() or (around[0] in "《“「" and around[-1] in "》”」") else 1.0

    start, stop = rng.choices(found, [weight(s) for s in found])[0]
    share = rng.uniform(0.2, 0.75)
    question = _shortened(_thinned(text[begin:start], share, rng), _thinned(text[stop:end], share, rng), rng)
    if rng.random() < 0.5:
        question = reword(question, rng)[:LONGEST_QUESTION]
    return Asked(question.strip(), ((text, ""),), 0, ((start, stop),)) if len(question) > 4 else None


def clozes(runs: Sequence[list[str]], rng: random.Random) -> Iterator[Asked]:
    """Without end: each with a neighbouring piece of text that does not answer; some with two such."""
    while True:
        run = runs[rng.randrange(len(runs))]
        i = rng.randrange(len(run))
        text = fold(run[i])
        if len(_HAN.findall(text)) < len(text) // 2:
            continue
        asked = _recurring(text, rng) if rng.random() < 0.4 else _cloze(text, rng)
        if asked is None:
            continue
        answer = asked.passages[0][0][slice(*asked.spans[0])]
        others = [fold(run[k]) for k in (i - 1, i + 1, i - 2, i + 2) if 0 <= k < len(run) and k != i]
        others = [(other, "") for other in others if answer not in other]
        if not others:
            continue
        if rng.random() < 0.1 and len(others) > 1:
            yield Asked(asked.question, tuple(others[:2]), -1, ())
        else:
            yield Asked(asked.question, (*asked.passages, others[0]), 0, asked.spans)
