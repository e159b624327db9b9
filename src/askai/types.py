"""Every noun that flows through askai: article → passage → hit → answer.

Offsets are Unicode code points into ``Article.text``, half open. A score is higher for better,
everywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from askai.modes import Mode as Mode

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

Status = Literal["answered", "not_found"]
Progress = Callable[[str, int, int], None]
"""Called with a stage in Chinese, the items done and the items in all."""


@dataclass(frozen=True, slots=True)
class Article:
    """A text as it was read. ``id`` is unique in an index; ``path`` says where the text came from.

    ``pages`` holds the offset at which each page begins; empty where a format has no pages.
    """

    id: str
    title: str
    path: str
    text: str
    meta: Mapping[str, str] = field(default_factory=dict)
    pages: tuple[int, ...] = ()

    def page_at(self, offset: int) -> int | None:
        """Number of the page, from 1, that holds the character at ``offset``; None without pages."""
        return max(1, bisect_right(self.pages, offset)) if self.pages else None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read, with the reason in Chinese."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Passage:
    """``article.text[start:end]``, the unit of retrieval; ``heading`` is the nearest one above it."""

    article_id: str
    start: int
    end: int
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage: its row in the index and its score (higher is better).

    ``score`` orders the passages of one question. ``coverage`` and ``cosine`` mean the same for
    every question: the share (0 to 1) of the question's informative words that the passage holds,
    and the similarity of the vectors. ``missing`` counts the names in Latin letters and the numbers
    of the question that the passage and the text around it do not hold.
    """

    row: int
    passage: Passage
    score: float
    coverage: float = 0.0
    cosine: float = 0.0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """``text == article.text[start:end]``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader found in one hit.

    ``spans`` are candidate answers with scores comparable across hits, best first; ``answers`` is
    the score (a logit) that the passage holds an answer at all.
    """

    hit: Hit
    spans: tuple[tuple[Span, float], ...]
    answers: float


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim excerpt: ``quote == article.text[start:end]``, with the answering words as ``span``.

    ``score`` is the calibrated probability that the excerpt answers the question. ``page`` is the page on
    which it begins, from 1; None where the format has no pages.
    """

    number: int
    article_id: str
    title: str
    path: str
    start: int
    end: int
    quote: str
    span: Span | None
    score: float
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to one question.

    ``answer`` is what the reply leads with: words of the articles when ``status`` is ``answered``
    and there are citations. With ``not_found`` the citations are the nearest excerpts, offered as
    such. ``confidence`` is the calibrated probability that the articles answer the question.
    """

    question: str
    understood_as: str
    status: Status
    answer: str
    confidence: float
    citations: tuple[Citation, ...]
    elapsed_ms: float

    @property
    def is_finding(self) -> bool:
        """Whether it answers with words of the articles: no greeting, no summary and no decline."""
        return self.status == "answered" and any(c.span for c in self.citations)

    @property
    def first_score(self) -> float:
        """Calibrated probability that the first excerpt answers; 0 without one."""
        return self.citations[0].score if self.citations else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of the command line's contract, without the caller's ``id``."""
        return asdict(self) | {"citations": [asdict(c) for c in self.citations]}


@dataclass(frozen=True, slots=True)
class ArticleSummary:
    """One line of the list of articles; sizes in characters and passages."""

    id: str
    title: str
    path: str
    characters: int
    passages: int


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did: sizes of the new index, what changed since the last one, what failed."""

    generation: str
    articles: int
    passages: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    failures: tuple[Failure, ...]
    reused_vectors: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """The folder of articles against its index.

    ``new``, ``changed`` and ``gone`` are paths of files; ``failed`` could not be read and have not
    changed since. ``kept`` are the generations that can be gone back to, oldest first. ``generation``
    is empty where there is no index.
    """

    generation: str
    kept: tuple[str, ...]
    created: str
    articles: int
    passages: int
    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    failed: tuple[Failure, ...]


class Encoder(Protocol):
    """Texts to unit vectors."""

    @property
    def fingerprint(self) -> str:
        """Name and digest of the weights: an index made with another one is refused."""
        ...

    @property
    def dimensions(self) -> int: ...

    def encode_passages(self, texts: Sequence[str]) -> Floats:
        """float32 (n, dimensions), rows of unit length."""
        ...

    def encode_question(self, question: str) -> Floats:
        """float32 (dimensions,), unit length."""
        ...


class Reader(Protocol):
    """A question and passages to spans."""

    def read(
        self, question: str, hits: Sequence[Hit], articles: Mapping[str, Article]
    ) -> list[Reading]:
        """One reading for each hit, in the order of the hits."""
        ...
