"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

IndexOption = Annotated[Path, typer.Option("--index", metavar="DIR", help="索引文件夹。")]
CorpusOption = Annotated[Path, typer.Option("--corpus", metavar="DIR", help="文章文件夹。")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON。")]
ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME_OR_PATH", help="换用别的 sentence-transformers 模型。")
]
DEFAULT_INDEX = Path("index")
DEFAULT_CORPUS = Path("corpus")
