"""The desk behind the page, without a browser: nothing is lost, whatever was built from where, and by whom."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from askai.errors import InputError
from askai.library import Library
from askai.types import Mode
from askai.ui.desk import Desk

LAMP = "# 灯塔\n\n白石灯塔高 31 米，每 9 秒闪一次。\n"
OVEN = "# 面包房\n\n面包房清晨 5 点开炉，一炉 48 个。\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "lamp.md").write_text(LAMP, "utf-8")
    (folder / "oven.md").write_text(OVEN, "utf-8")
    (folder / "empty.txt").write_bytes(b"")
    os.utime(folder / "empty.txt", (1e9, 1e9))  # the time of a file that is too young is not relied on
    return folder


def _opened(corpus: Path, index: Path) -> Desk:
    desk = Desk(corpus, index)
    desk.start()
    desk.ask("你好", [], Mode.BALANCED)
    return desk


def _titles(desk: Desk) -> set[str]:
    return {article.title for article in desk.articles()}


def _upload(tmp_path: Path, name: str, text: str) -> Path:
    sent = tmp_path / "sent"
    sent.mkdir(exist_ok=True)
    (sent / name).write_text(text, "utf-8")
    return sent / name


def test_an_upload_does_not_drop_what_was_built_from_elsewhere(tmp_path: Path, corpus: Path) -> None:
    index, mine = tmp_path / "index", tmp_path / "mine"
    Library(corpus, index).build()
    desk = _opened(mine, index)
    assert desk.rebuild().wait(60)
    assert desk.outcome is not None
    assert desk.outcome.message == ""
    assert _titles(desk) == {"灯塔", "面包房"}
    assert desk.take_in([_upload(tmp_path, "ferry.md", "# 渡船\n\n渡船整点开。\n")]).wait(60)
    assert _titles(desk) == {"灯塔", "面包房", "渡船"}
    with pytest.raises(InputError, match="不在文章文件夹"):
        desk.remove(desk.file_of("lamp")[0])
    assert (corpus / "lamp.md").exists()
    desk.remove(desk.file_of("ferry")[0])
    assert _titles(desk) == {"灯塔", "面包房"}


def test_what_another_process_undid_is_not_offered_again(tmp_path: Path, corpus: Path) -> None:
    index = tmp_path / "index"
    desk = _opened(corpus, index)
    desk.remove(desk.file_of("lamp")[0])
    removal = desk.removal
    assert removal is not None
    assert removal.name == "《灯塔》"
    Library(corpus, index).undo()
    assert _titles(desk) == {"灯塔", "面包房"}
    with pytest.raises(InputError, match="没有可以撤销"):
        desk.undo(removal.number)
    assert desk.removal is None
    with pytest.raises(InputError, match="已经撤销过了"):
        desk.undo(removal.number)
    with pytest.raises(InputError, match="没有文件"):
        desk.remove("没有.md")
    with pytest.raises(InputError, match="已经不在了"):
        desk.file_of("没有")


def test_a_failed_file_that_is_gone_is_forgotten_and_a_good_one_is_not_read_again(
    tmp_path: Path, corpus: Path
) -> None:
    desk = _opened(corpus, tmp_path / "index")
    status = desk.status()
    assert status is not None
    (failed,) = status.failed
    (corpus / "empty.txt").unlink()
    assert desk.retry(failed.path).wait(60)
    status = desk.status()
    assert status is not None
    assert status.failed == ()
    with pytest.raises(InputError, match="不需要再读"):
        desk.retry(desk.file_of("lamp")[0])


def test_a_first_build_that_is_cancelled_can_be_begun_again(tmp_path: Path, corpus: Path) -> None:
    for number in range(1500):
        (corpus / f"{number}.md").write_text(f"# 第{number}号\n\n" + f"第{number}号仓库有{number}箱货。" * 30, "utf-8")
    desk = Desk(corpus, tmp_path / "index")
    desk.start()
    pause = threading.Event()
    while not desk.mark.working and not desk.settled:
        pause.wait(0.01)
    assert desk.state.phase == "building"
    desk.call_off(desk.mark.working)
    while not desk.settled:
        pause.wait(0.01)
    assert desk.state.phase == "failed"
    assert "已取消" in desk.state.message
    assert not desk.ready
    assert len(list(corpus.iterdir())) == 1503
    for path in corpus.glob("[0-9]*.md"):
        path.unlink()
    assert desk.rebuild().wait(60)
    assert desk.state.phase == "ready"
    assert _titles(desk) == {"灯塔", "面包房"}
