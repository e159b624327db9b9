"""Tables to text: one line a row, the header repeated, so that a row can be found and cited alone."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from askai.errors import ArticleError
from askai.formats.contents import (
    MAX_CHARACTERS,
    Contents,
    Source,
    article,
    broken,
    clean,
    one_line,
    too_long,
)
from askai.formats.packages import BROKEN, open_package, refuse_entities
from askai.formats.plain import decode

MAX_COLUMNS = 16_384
_NUMBER = re.compile(r"[-+−]?[\d.,，\s%％/:：-]+")
_DELIMITERS = (",", "\t", ";", "|", "，", "；")
_ENDS = "。！？!?；;.：:"


def _is_header(row: Sequence[str]) -> bool:
    """Whether a row names the columns: several names, each once, none of them a number."""
    names = [cell for cell in row if cell]
    return len(names) > 1 and len(set(names)) == len(names) and not any(map(_NUMBER.fullmatch, names))


def _line(names: Sequence[str], cells: Sequence[str]) -> str:
    parts = []
    for column, cell in enumerate(cells):
        name = names[column] if column < len(names) else ""
        if cell:
            parts.append(f"{name}：{cell}" if name else cell)
    line = "；".join(parts)
    return line if line.endswith(tuple(_ENDS)) else f"{line}。"


def _filled(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    for row in rows:
        if len(row) > MAX_COLUMNS:
            raise ArticleError(f"表格有 {len(row):,} 列，超过 {MAX_COLUMNS:,} 列的上限。请拆成几份后再试。")
        cells = [one_line(cell) for cell in row]
        if any(cells):
            yield cells


def row_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A line for each row: ``列名：值；列名：值。`` Without a header the cells stand as they are.

    Empty cells and rows are left out; lines of one cell above the header are titles. Raises
    ``ArticleError`` for more than may be read.
    """
    filled = _filled(rows)
    first: list[str] = []
    for first in filled:
        if sum(map(bool, first)) > 1:
            break
        yield "".join(first)
    else:
        return
    names = first if _is_header(first) else []
    rest = filled if names else chain([first], filled)
    size = 0
    for cells in rest:
        line = _line(names, cells)
        size += len(line)
        if size > MAX_CHARACTERS:
            raise too_long()
        yield line
    if not size:
        yield "；".join(filter(None, first))


def _delimiter(text: str, path: str) -> str:
    """The delimiter that cuts the first lines into the most columns, the same number in each."""
    if path.lower().endswith(".tsv"):
        return "\t"
    lines = [line for line in text[:20_000].split("\n")[:20] if line.strip()]
    counts = {d: [line.count(d) for line in lines] for d in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda d: (min(counts[d], default=0), sum(counts[d])))
    return best if sum(counts[best]) else ","


def read_csv(data: bytes, source: Source) -> Contents:
    """One article of a delimited text, in any encoding that plain text may have."""
    text = clean(decode(data))
    csv.field_size_limit(len(text) + 1)
    try:
        rows = csv.reader(io.StringIO(text), delimiter=_delimiter(text, source.path), skipinitialspace=True)
        body = "\n".join(row_lines(rows))
    except csv.Error as error:
        raise broken("表格") from error
    return Contents((article(source, body, {"title": source.stem}),))


def _shown(value: Any) -> str:
    """A cell as a person sees it: whole numbers without a fraction, days without a midnight."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)


def read_xlsx(data: bytes, source: Source) -> Contents:
    """One article of a workbook: each sheet under its name. Formulas show the values saved with them."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    refuse_entities(open_package(data))
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        parts = []
        for sheet in book.worksheets:
            # What a sheet states as its size may be a million rows of nothing.
            sheet.reset_dimensions()
            lines = "\n".join(row_lines([_shown(v) for v in row] for row in _rows(sheet)))
            if lines:
                parts.append(f"# {one_line(sheet.title)}\n\n{lines}" if len(book.sheetnames) > 1 else lines)
        found = book.properties
    except (
        *BROKEN, InvalidFileException, TypeError, AttributeError, LookupError, ArithmeticError, SyntaxError,
        RuntimeError,
    ) as error:
        raise broken("表格") from error
    meta = {
        "title": found.title or source.stem,
        "author": found.creator,
        "date": found.modified.date().isoformat() if found.modified else None,
    }
    return Contents((article(source, "\n\n".join(parts), meta),))


def _rows(sheet: Any) -> Iterator[Sequence[Any]]:
    # Rows that a sheet skips come as empty ones: a single cell in the last row would cost a million.
    empty = 0
    for row in sheet.iter_rows(values_only=True):
        empty = 0 if any(value is not None for value in row) else empty + 1
        if empty > 100_000:
            return
        if not empty:
            yield row
