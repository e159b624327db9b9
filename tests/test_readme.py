"""What the READMEs show is what askai says: their transcripts are run, their commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
READMES = ["README.md", "README.zh.md"]
_SURE = re.compile(r"把握：\d+%")


def askai(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "askai", *words], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("readme") / "index")
    askai("build", "corpus", "--index", folder)
    return folder


def transcript(name: str) -> list[tuple[str, list[str]]]:
    """(question, lines of the reply) of every ``$ askai ask`` in a README."""
    blocks = re.findall(r"```\n(\$ askai ask .*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
    return [
        (shlex.split(turn.split("\n")[0])[2], [line for line in turn.split("\n")[1:] if line.strip(" …")])
        for block in blocks
        for turn in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]


@pytest.mark.quality
@pytest.mark.parametrize("name", READMES)
def test_transcript(name: str, index: str) -> None:
    turns = transcript(name)
    assert len(turns) >= 2
    replies = [askai("ask", question, "--index", index) for question, _ in turns]
    for (_, lines), reply in zip(turns, replies, strict=True):
        said = _SURE.sub("把握", reply)
        for line in lines:
            # How sure it is may differ by a percent between processors.
            assert _SURE.sub("把握", line).strip() in said
    assert any("没有找到" in reply for reply in replies)


@pytest.mark.parametrize("name", READMES)
def test_commands_exist(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    known = set(re.findall(r"^\W*(\w+) ", askai("--help"), re.MULTILINE))
    shown = set(re.findall(r"^(?:\$ )?askai ([a-z]+)", text, re.MULTILINE))
    assert shown
    assert shown <= known
