"""The command line: a thin skin over ``Assistant``, with the same words."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from askai.errors import AskaiError, Cancelled, InputError
from askai.maintenance import register
from askai.modes import Mode
from askai.options import DEFAULT_CORPUS, DEFAULT_INDEX, CorpusOption, IndexOption, JsonOption, ModelOption

if TYPE_CHECKING:
    from askai.assistant import Assistant

app = typer.Typer(
    help="askai：用本机上的文章回答中文问题，每个答案都附一字不差的原文。不联网，不用大模型。",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

register(app)


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="要问的问题。")] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="逐行回答一个 JSON Lines 文件，- 表示标准输入。"),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, max=100, metavar="N", help="最多引用几处原文。")
    ] = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="要多有把握才回答：严格少答少错，宽松多答。")
    ] = Mode.BALANCED,
    as_json: JsonOption = False,
) -> None:
    """提一个问题，或用 --batch 逐行回答一个文件（每行进，每行出）。"""
    if (question is None) == (batch is None):
        raise typer.BadParameter("请给出一个问题，或用 --batch 给出一个文件，二者选一")
    from askai import batches, console

    if batch is not None:
        # The file is looked at first: opening it costs nothing, opening the index does.
        with batches.open_lines(batch) as lines:
            batches.answer_lines(_open(index), lines, top_k, mode, console.write_json)
        return
    answer = _open(index).ask(batches.checked(_typed(question or "")), top_k=top_k, mode=mode)
    if as_json:
        console.write_json({"id": None} | answer.to_dict())
    else:
        console.show_answer(answer)


@app.command()
def chat(
    index: IndexOption = DEFAULT_INDEX,
    corpus: CorpusOption = DEFAULT_CORPUS,
    host: Annotated[str, typer.Option(metavar="H", help="监听的地址。")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65535, help="监听的端口。")] = 7860,
    auth: Annotated[
        str | None, typer.Option(metavar="USER:PASSWORD", help="要求用户名和密码。")
    ] = None,
) -> None:
    """打开聊天网页；没有索引时先用文章文件夹建立一个。"""
    user, colon, password = (auth or "").partition(":")
    if auth is not None and not (user and colon and password):
        raise typer.BadParameter("请写成 用户名:密码", param_hint="--auth")
    from askai.ui.page import launch

    with suppress(KeyboardInterrupt):  # how a server is stopped: nothing went wrong
        launch(corpus, index, host, port, (user, password) if auth else None)


@app.command()
def articles(index: IndexOption = DEFAULT_INDEX, as_json: JsonOption = False) -> None:
    """列出索引里的文章：编号、标题、路径、字数、段数。"""
    from askai import console

    found = _open(index).articles()
    if as_json:
        console.write_json([console.as_plain(article) for article in found])
    else:
        console.show_articles(found)


@app.command()
def show(
    article: Annotated[str, typer.Argument(help="文章的编号、路径或标题。")],
    index: IndexOption = DEFAULT_INDEX,
    start: Annotated[int, typer.Option(min=0, metavar="N", help="从第几个字起。")] = 0,
    end: Annotated[int | None, typer.Option(min=0, metavar="M", help="到第几个字止。")] = None,
) -> None:
    """原样输出一篇文章（或其中一段），一字不差。"""
    if end is not None and end < start:
        raise typer.BadParameter(f"的值 {end} 小于 --start 的值 {start}", param_hint="--end")
    text = _open(index).article(_typed(article)).text
    if start > len(text):
        raise InputError(f"--start {start} 超出了全文：这篇文章共 {len(text)} 个字。")
    # The bytes themselves: a text layer could change line ends or fail on the locale's encoding.
    sys.stdout.flush()
    sys.stdout.buffer.write(text[start:end].encode("utf-8"))
    sys.stdout.buffer.flush()


@app.command("eval")
def evaluate_command(
    dataset: Annotated[Path, typer.Argument(help="SQuAD 格式的 JSON，或 JSON Lines（可为 .xz）。")],
    distractors: Annotated[
        list[Path] | None,
        typer.Option("--distractors", metavar="FILE ...", help="别的数据集：只把其中的文章加进检索范围。"),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="只评前 N 个问题。")] = None,
    stages: Annotated[bool, typer.Option("--stages", help="另报各检索阶段的成绩。")] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """用阅读理解数据集衡量检索、答案、拒答和速度。"""
    # The option takes several files: those after the first arrive as further arguments.
    if more and not distractors:
        raise typer.BadParameter(f"多出了参数 {more[0]}；干扰数据请放在 --distractors 之后")
    from askai import console
    from askai.evaluation import evaluate

    with console.progress() as report_progress:
        report = evaluate(
            dataset,
            [*(distractors or []), *(more or [])],
            limit=limit,
            stages=stages,
            model=model,
            progress=report_progress,
        )
    if as_json:
        console.write_json(report)
    else:
        console.show_evaluation(report)


def _open(index: Path) -> Assistant:
    from askai.assistant import Assistant

    return Assistant.open(index)


def _typed(text: str) -> str:
    """What was typed: a terminal's UTF-8 is misread by Python where the locale is plain C."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


# What the parser says, in Chinese; it has no translations of its own.
_USAGE = (
    (r"No such command '(.*?)'.*", r"没有“\1”这个命令"),
    (r"No such option: (\S+).*", r"没有 \1 这个选项"),
    (r"Missing argument '(.*?)'.*", r"缺少参数 \1"),
    (r"Missing option '(.*?)'.*", r"缺少选项 \1"),
    (r"Option '(.*?)' requires .*", r"选项 \1 后面缺少内容"),
    (r"Got unexpected extra argument\S* \((.*)\)", r"多出了参数 \1（有空格的内容要加引号）"),
    (r"Invalid value(?: for '?(.*?)'?)?: (.*)", r"\1 \2"),
    (r"(.*)Input should be greater than or equal to (\S+)", r"\1的值不能小于 \2"),
    (r"(.*)Input should be less than or equal to (\S+)", r"\1的值不能大于 \2"),
    (r"(.*)Input should be a valid integer.*", r"\1的值要是整数"),
)


def _usage_error(error: typer.TyperException, words: Sequence[str]) -> int:
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message)
        return error.exit_code
    for pattern, chinese in _USAGE:
        message = re.sub(f"^{pattern}$", chinese, message.strip(), flags=re.DOTALL)
    names = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    command = f" {words[0]}" if words and words[0] in names else ""
    _complain(f"用法不对：{message.strip()}。请运行 askai{command} --help 查看用法。")
    return error.exit_code


def _complain(reason: object) -> None:
    from askai import console  # late, as everywhere: --help does without NumPy and rich

    console.complain(reason)


def _on_bug(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Anything that nobody raised on purpose: the trace for us, a sentence for the person."""
    from askai.console import printable

    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, where))))
    _complain(f"程序内部出错（{kind.__name__}：{error}）。请把上面的内容连同所用命令反馈给开发者。")


def _quietly(run: Callable[[], Any]) -> int:
    try:
        code = run()
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:
        # The reader went away (``| head``): keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Cancelled:
        raise
    except AskaiError as error:
        _complain(error)
    except OSError as error:
        name = f"（{error.filename}）" if error.filename else ""
        _complain(f"读写失败{name}：{error.strerror or error}。请检查路径、权限和磁盘空间。")
    return 1


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 done, 2 wrong usage, 1 anything else."""
    command = typer.main.get_command(app)
    try:
        code = _quietly(lambda: command.main(list(words), prog_name="askai", standalone_mode=False))
    except typer.TyperException as error:
        return _usage_error(error, words)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Cancelled as error:
        _complain(error)
        return 130
    if code == 130:
        _complain("已中断。")
    return code


def _speak_utf8(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def main() -> NoReturn:
    """Entry point of ``askai``."""
    for stream in (sys.stdout, sys.stderr):
        _speak_utf8(stream)
    sys.excepthook = _on_bug
    sys.exit(run(sys.argv[1:]))
