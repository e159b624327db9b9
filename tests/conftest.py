"""Shared fixtures: a small corpus of many kinds, a real index over it, and the command line as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from askai.assistant import Assistant
from askai.library import Library
from making import TEXTS

ROOT = Path(__file__).parent.parent

# No deadlines: the machine may be busy. Examples are drawn anew each time; failures are printed
# with the line that repeats them.
settings.register_profile(
    "askai", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("askai")

HEADPHONES = """---
title: 星河三号耳机的发布
date: 2025-11-30
source: 示例新闻
tags: [耳机, 发布]
---
# 星河三号耳机的发布

青禾声学在11月30日发布了星河三号耳机，售价￥1,299，12月8日12:30起在官网开卖。
工程师林知远说：“降噪芯片是我们自己设计的。”这款耳机充一次电能听36.5小时，固件版本是v5.2。

## 与上一代相比

1. 重量从268克降到了241克；
2. 麦克风从四个增加到了六个；
3. 增加了对 LDAC 编码的支持。
"""

LIGHTHOUSE = """白石灯塔小史

白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。
1954年的台风毁掉了塔顶的灯室，两年后重建。灯塔在2003年停止使用，如今是一座小型博物馆，每周二闭馆。
"""

TEA = """茶葉怎樣保存

綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜，並且要密封避光。
普洱茶不需要冷藏，放在通風乾燥的地方就可以。
"""

PRINTER = """# PPR-9087 打印机常见问题

问：PPR-9087 支持哪些纸张？
答：支持 A4、A5 和六寸相纸，纸盒一次最多放 120 张。

问：打印头堵塞了怎么办？
答：在设置里选择“清洁打印头”，等候大约三分钟。若清洁两次后仍有断线，请联系售后。
"""

HOSTILE = (
    "# <script>alert('标题')</script> 攻击样本\n\n"
    "<img src=x onerror=alert(1)>密码箱的编号是 <b>QX-7741</b>，钥匙放在 [这里](javascript:alert(2))。\n"
    "终端控制\x1b[31m红色\x1b[0m与响铃\x07之后，机房的温度是二十一度。\n"
    "方向\u202e倒写\u202c，零宽\u200b空格，表情👩‍👩‍👧‍👦与🏳️‍🌈，组合字符é，[bold]不是标记[/bold] :smile:。\n"
    + "没有标点的长行" * 300
    + "\n结尾。\n"
)


@pytest.fixture(scope="session")
def corpus_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five articles in four encodings, in a folder with a space and Chinese in its name."""
    folder = tmp_path_factory.mktemp("data") / "我的 文章"
    (folder / "旧闻").mkdir(parents=True)
    (folder / "headphones.md").write_text(HEADPHONES, "utf-8")
    (folder / "旧闻" / "lighthouse.txt").write_bytes(LIGHTHOUSE.encode("gb18030"))
    (folder / "tea.txt").write_bytes(TEA.encode("big5"))
    (folder / "printer.md").write_bytes(PRINTER.encode("utf-8-sig"))
    (folder / "hostile.md").write_text(HOSTILE, "utf-8")
    return folder


@pytest.fixture(scope="session")
def index_dir(corpus_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real index over ``corpus_dir``; tests that write build their own."""
    folder = tmp_path_factory.mktemp("data") / "索引"
    Assistant.build([corpus_dir], folder)
    return folder


@pytest.fixture(scope="session")
def assistant(index_dir: Path) -> Assistant:
    return Assistant.open(index_dir)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of three articles that tests may write to."""
    home = tmp_path / "corpus"
    home.mkdir()
    for number, text in enumerate(TEXTS):
        (home / f"a{number}.md").write_text(text, "utf-8")
    return home


@pytest.fixture
def folder(corpus: Path, tmp_path: Path) -> Path:
    """An index folder with one generation, made of ``corpus``."""
    home = tmp_path / "索引 index"
    Library(corpus, home).build()
    return home


Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def clean_environment() -> dict[str, str]:
    """The environment of a person's shell, with this source on the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE", "LC_"))}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "default"}


@pytest.fixture
def askai(tmp_path: Path) -> Run:
    """Run ``askai`` in an empty folder, as a process of its own; returns the finished process."""

    def run(
        *words: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str] = [sys.executable, "-m", "askai", *map(str, words)]
        return subprocess.run(
            command, input=stdin, capture_output=True, cwd=tmp_path, timeout=120,
            env=clean_environment() | (env or {}),
        )

    return run
