"""Everything askai raises on purpose.

AskaiError                  what went wrong and what to do next, in Chinese
├── InputError              a question, path or setting that cannot be used
│   └── ArticleError        one file or text that cannot be read as an article
├── UnusableIndex           no index, or one that cannot be used
│   ├── IndexMissing
│   ├── IndexDamaged
│   └── IndexMismatch       made by another model or format
├── IndexBusy               another process is writing
├── Cancelled               somebody called it off
└── ModelError              a model that cannot be loaded
"""

from __future__ import annotations


class AskaiError(Exception):
    """Base of the tree; ``str(error)`` is a message for people, in Chinese."""


class InputError(AskaiError):
    """A question, path or setting that cannot be used."""


class ArticleError(InputError):
    """One file or text that cannot be read as an article."""


class UnusableIndex(AskaiError):
    """No index, or one that cannot be used."""


class IndexMissing(UnusableIndex):
    """There is no index in the folder."""


class IndexDamaged(UnusableIndex):
    """A file of the index is missing, cut short or changed."""


class IndexMismatch(UnusableIndex):
    """The index was made by another model or another version of the format."""


class IndexBusy(AskaiError):
    """Another process is writing to the index."""


class Cancelled(AskaiError):
    """Somebody called it off: what a progress callback raises to end a build. Nothing has changed."""

    def __init__(self, message: str = "已取消，原来的索引没有改动。") -> None:
        super().__init__(message)


class ModelError(AskaiError):
    """A model that cannot be loaded."""
