"""Trees of HTML and its kin to text: headings as ``#`` lines, lists as ``-`` lines, tables row by row.

Nothing here recurses: a page may nest as deep as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from askai.formats.contents import tidy
from askai.formats.tables import row_lines
from askai.text import HAN

_SKIPPED = frozenset(
    "script style noscript template svg math object embed iframe canvas video audio head button select"
    " textarea input rt rp graphic".split()
)
BOILERPLATE = frozenset("nav aside footer menu dialog".split())
_BLOCKS = frozenset(
    "html body div p section article main header hgroup address blockquote quote pre dl dt dd ul ol list li item"
    " figure figcaption caption table thead tbody tfoot tr row td th cell details summary fieldset center title"
    " h1 h2 h3 h4 h5 h6 hr nav aside footer menu dialog".split()
)
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_ITEMS = frozenset({"li", "item", "dd"})
_TABLE_CELLS = frozenset({"td", "th", "cell"})
_IN_CELL_BLOCKS = frozenset("p div table h1 h2 h3 h4 ul ol section article".split())
_SPACE = re.compile(r"\s+")
_WIDE = rf"{HAN}\u3000-\u303f\uff00-\uffef“”‘’…—"
# A line end inside a paragraph is a space in HTML; between Chinese characters it is nothing.
_BETWEEN_HAN = re.compile(rf"(?<=[{_WIDE}])[ \t]*\n[ \t]*(?=[{_WIDE}])")


def local_name(element: Any) -> str:
    """The tag without its namespace, in lower case; empty for comments and the like."""
    tag = element.tag
    return tag.rsplit("}", 1)[-1].lower() if isinstance(tag, str) else ""


def _is_hidden(element: Any) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or element.get("hidden") is not None or element.get("aria-hidden") == "true"


def inline_text(text: str) -> str:
    """Text of one paragraph as HTML shows it: runs of white space as one space, or none between Han."""
    return _SPACE.sub(" ", _BETWEEN_HAN.sub("", text))


class _Writer:
    """Collects inline text and lays it down as blocks."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.inline: list[str] = []
        self.prefix = ""

    def add(self, text: str | None) -> None:
        if text:
            self.inline.append(text)

    def flush(self, gap: bool = True) -> None:
        text = "".join(self.inline)
        self.inline.clear()
        shown = [inline_text(line).strip() for line in text.split("\0")]
        body = "\n".join(line for line in shown if line)
        if body:
            self.lines.append(self.prefix + body)
            self.prefix = ""
            if gap:
                self.lines.append("")


def _heading_level(element: Any, name: str) -> int:
    if name == "head":
        rend = element.get("rend") or "h2"
        return _HEADINGS.get(rend, 2)
    return _HEADINGS.get(name, 0)


def _data_table(table: Any) -> list[list[str]] | None:
    """The rows of a table of data; None where cells hold blocks: it lays out a page."""
    rows: list[list[str]] = []
    for row in table.iter():
        if local_name(row) not in {"tr", "row"}:
            continue
        cells = []
        for cell in row:
            if local_name(cell) in _TABLE_CELLS:
                blocks = [e for e in cell.iter() if e is not cell and local_name(e) in _IN_CELL_BLOCKS]
                if any(local_name(e) == "table" for e in blocks) or len(blocks) > 3:
                    return None
                cells.append(inline_text(" ".join(cell.itertext(with_tail=False))))
        rows.append(cells)
    return rows if max(map(len, rows), default=0) > 1 else None


def tree_text(root: Any, skipped: frozenset[str] = frozenset()) -> str:
    """The visible text below ``root``, tidy; elements named in ``skipped`` are left out too."""
    out = _Writer()
    lists: list[list[Any]] = []
    walker = etree.iterwalk(root, events=("start", "end", "comment", "pi"))
    for event, element in walker:
        if event in {"comment", "pi"}:
            out.add(element.tail)
        elif event == "start":
            if _starts(element, out, lists, skipped, root):
                walker.skip_subtree()
        else:
            _ends(element, out, lists)
            if element is not root:
                out.add(element.tail)
    out.flush()
    return tidy("\n".join(out.lines))


def _starts(element: Any, out: _Writer, lists: list[list[Any]], skipped: frozenset[str], root: Any) -> bool:
    """Take in the beginning of an element; True where what is inside has been dealt with."""
    name = local_name(element)
    if element is not root and (name in skipped or (name in _SKIPPED and name != "head") or _is_hidden(element)):
        return True
    if name == "head" and element.get("rend") is None:
        return True
    if name == "br" or name == "lb":
        out.add("\0")
    elif name == "pre":
        out.flush()
        out.lines += [*tidy("".join(element.itertext(with_tail=False))).split("\n"), ""]
        return True
    elif name == "table" and (rows := _data_table(element)) is not None:
        out.flush()
        out.lines += [*row_lines(rows), ""]
        return True
    elif name in _BLOCKS or name == "head":
        out.flush(gap=name not in _ITEMS)
        if level := _heading_level(element, name):
            out.prefix = "#" * level + " "
        elif name in {"ul", "ol", "list"}:
            ordered = name == "ol" or element.get("rend") == "ol"
            lists.append([ordered, 0])
        elif name in _ITEMS:
            out.prefix = _item_mark(lists)
    out.add(element.text)
    return False


def _item_mark(lists: list[list[Any]]) -> str:
    if not lists:
        return ""
    lists[-1][1] += 1
    return f"{lists[-1][1]}. " if lists[-1][0] else "- "


def _ends(element: Any, out: _Writer, lists: list[list[Any]]) -> None:
    name = local_name(element)
    if name in {"ul", "ol", "list"} and lists:
        out.flush(gap=False)
        lists.pop()
        if not lists:
            out.lines.append("")
    elif name in _TABLE_CELLS:
        out.add(" ")
    elif name in _BLOCKS or (name == "head" and element.get("rend")):
        out.flush(gap=name not in _ITEMS)
        out.prefix = ""


def texts_of(root: Any, name: str) -> Iterator[str]:
    """The text of every element with this local name, as one line each."""
    for element in root.iter():
        if local_name(element) == name:
            yield inline_text("".join(element.itertext(with_tail=False))).strip()
