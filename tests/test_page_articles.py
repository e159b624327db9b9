"""The page in a real browser: articles come, go and come back, long work can be cancelled, modes differ."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from askai.assistant import Assistant
from askai.corpus import LARGEST, MAX_BYTES
from askai.types import Mode
from making_files import docx_file, pdf_file
from page_fixtures import Served, Visit, browser, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["browser"]  # a fixture: pytest finds it in this module

HARBOUR = "# 银杏港\n\n银杏港的灯塔高 41 米，塔灯每 9 秒闪一次。港里有三条栈桥，最长的一条伸进海里 260 米。\n"
BAKERY = "# 老桥面包房\n\n老桥面包房每天清晨 5 点开炉，招牌是核桃黑麦面包，一炉烤 48 个。店主姓罗。\n"
FERRY = "# 渡船时刻\n\n渡船每逢整点从东岸开出，末班是晚上 10 点。大雾天停航，票价 3 元，学生半价。\n"
LIST = [
    {"title": "银河路通告", "content": "银河路从八月起改为单行道，由北向南通行。"},
    {"title": "松林路通告", "content": "松林路的路灯在夜里 11 点后减半，为了让鸟儿休息。"},
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page over three texts, a list of two articles, and a file that cannot be read."""
    folder = tmp_path_factory.mktemp("page")
    corpus = folder / "articles"
    corpus.mkdir()
    for name, text in (("harbour.md", HARBOUR), ("bakery.md", BAKERY), ("ferry.md", FERRY)):
        (corpus / name).write_text(text, "utf-8")
    (corpus / "notices.json").write_text(json.dumps(LIST, ensure_ascii=False), "utf-8")
    (corpus / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing more")
    with served(corpus, folder / "index") as running:
        yield running


@pytest.fixture
def visit(browser: Browser, library: Served) -> Iterator[Visit]:
    """A fresh tab, without an error at its end."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    visiting = Visit(context, library).ready()
    yield visiting
    context.close()
    assert visiting.errors == []


@pytest.fixture
def other(browser: Browser, library: Served) -> Iterator[Visit]:
    """Somebody else on the same page."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    visiting = Visit(context, library).ready()
    visiting.tab("文章")
    yield visiting
    context.close()
    assert visiting.errors == []


def _last(visit: Visit) -> Locator:
    return visit.page.locator(".turn").last


def _sources(visit: Visit, question: str) -> list[str]:
    """Ask, and return the titles that the reply cites."""
    visit.ask(question)
    expect(_last(visit).locator(".trouble")).to_have_count(0)
    return _last(visit).locator(".source .where").all_text_contents()


def test_a_deleted_article_answers_no_more_and_comes_back(visit: Visit, other: Visit) -> None:
    question = "银杏港的灯塔有多高？"
    assert "银杏港" in _sources(visit, question)
    visit.tab("文章")
    button = visit.listed("银杏港").locator(".remove")
    button.dblclick()
    expect(button).to_contain_text("确认删除")
    visit.page.keyboard.press("Escape")
    expect(button).not_to_contain_text("确认")
    assert (visit.at.corpus / "harbour.md").exists(), "one press, or a double click, deletes nothing"

    visit.remove("银杏港")
    expect(visit.listed("银杏港")).to_have_count(0)
    assert not (visit.at.corpus / "harbour.md").exists()
    assert "银杏港" not in _sources(visit, question)
    assert "银杏港" not in _sources(other, question)
    expect(other.listed("银杏港")).to_have_count(0)
    _last(visit).locator("..").locator(".source").first.click()
    expect(visit.page.locator("#reader .wrong, #reader .paper")).not_to_have_count(0)

    other.page.click("#removed .undo")
    expect(other.page.locator("#removed .done")).to_contain_text("已恢复《银杏港》")
    assert (visit.at.corpus / "harbour.md").read_text("utf-8") == HARBOUR
    assert "银杏港" in _sources(visit, question)
    visit.tab("文章")
    expect(visit.listed("银杏港")).to_have_count(1)
    expect(visit.page.locator("#removed .removed")).to_have_count(0)


def test_deleting_and_undoing_by_keyboard(visit: Visit) -> None:
    page = visit.page
    visit.tab("文章")
    visit.listed("渡船时刻").locator(".remove").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#removed .undo")).to_be_focused()
    expect(visit.listed("渡船时刻")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(visit.listed("渡船时刻")).to_have_count(1)


def test_a_list_that_is_drawn_anew_does_not_forget_the_first_press(visit: Visit, other: Visit) -> None:
    visit.tab("文章")
    button = visit.listed("渡船时刻").locator(".remove")
    button.click()
    other.remove("老桥面包房")
    expect(visit.listed("老桥面包房")).to_have_count(0)
    expect(button).to_contain_text("确认删除")
    expect(button).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.listed("渡船时刻")).to_have_count(0)
    for title in ("渡船时刻", "老桥面包房"):
        expect(visit.page.locator("#removed .removed")).to_contain_text(title)
        visit.page.click("#removed .undo")
        expect(visit.listed(title)).to_have_count(1)


def test_deletions_are_undone_last_first(visit: Visit, other: Visit) -> None:
    visit.remove("渡船时刻")
    expect(other.page.locator("#removed .removed")).to_contain_text("渡船时刻")
    stale = other.page.locator("#removed .undo").element_handle()
    number = stale.get_attribute("data-number") if stale else ""
    visit.remove("老桥面包房")
    # A click on what the other tab showed a moment ago.
    expect(other.page.locator("#removed .removed")).to_contain_text("老桥面包房")
    other.page.locator("#removed .undo").evaluate("(button, number) => { button.dataset.number = number }", number)
    other.page.click("#removed .undo")
    expect(other.page.locator("#removed .wrong")).to_contain_text("又删除了《老桥面包房》")
    for title in ("老桥面包房", "渡船时刻"):
        expect(visit.page.locator("#removed .removed")).to_contain_text(title)
        visit.page.click("#removed .undo")
        expect(visit.listed(title)).to_have_count(1)
    expect(visit.page.locator("#removed .removed")).to_have_count(0)


def test_no_question_fails_while_articles_come_and_go(visit: Visit, other: Visit) -> None:
    for number in range(3):
        before = other.page.locator(".turn").count()
        other.page.fill("#question textarea", f"面包房几点开炉？第 {number} 次问")
        other.page.press("#question textarea", "Enter")
        visit.remove("老桥面包房")
        other.page.locator(".turn").nth(before).locator(".reply:not(.waiting)").wait_for()
        assert _sources(other, "面包房几点开炉？") != ["老桥面包房"]
        visit.page.click("#removed .undo")
        expect(visit.listed("老桥面包房")).to_have_count(1)
        assert "老桥面包房" in _sources(other, "面包房几点开炉？")
    expect(other.page.locator(".trouble")).to_have_count(0)


def test_an_article_that_shares_its_file_goes_with_the_others_after_a_question(visit: Visit) -> None:
    page = visit.page
    visit.tab("文章")
    button = visit.listed("松林路通告").locator(".remove")
    button.click()
    button.click()
    expect(page.locator("#removed .wrong")).to_contain_text("共有 2 篇文章，只能一起删除")
    expect(visit.listed("路通告")).to_have_count(2)
    whole = page.locator("#removed .remove")
    whole.click()
    expect(whole).to_contain_text("确认删除整个文件")
    whole.click()
    expect(visit.listed("路通告")).to_have_count(0)
    page.click("#removed .undo")
    expect(visit.listed("路通告")).to_have_count(2)
    assert "松林路通告" in _sources(visit, "松林路的路灯什么时候减半？")


def test_two_formats_uploaded_at_once_are_answered_from(visit: Visit, tmp_path: Path) -> None:
    pages = [["天文台的圆顶直径 12 米。"], ["望远镜的镜片由陶师傅磨了 19 个月。"]]
    (tmp_path / "天文台.pdf").write_bytes(pdf_file(pages, title="天文台手记"))
    (tmp_path / "果园.docx").write_bytes(docx_file("果园账本", "果园去年收了 860 筐梨，存进北坡的窖里。"))
    told = visit.upload(tmp_path / "天文台.pdf", tmp_path / "果园.docx")
    assert "共 2 个文件" in told
    assert "新增 2 篇" in told
    assert "果园账本" in _sources(visit, "果园去年收了多少筐梨？")
    assert "天文台手记" in _sources(visit, "望远镜的镜片磨了多久？")
    source = _last(visit).locator(".source").filter(has_text="天文台手记").first
    expect(source.locator(".page")).to_have_text("第 2 页")
    source.click()
    assert "陶师傅" in visit.marked()
    expect(visit.page.locator("#reader .position")).to_contain_text("第 2 页")


def test_a_failed_file_is_named_read_again_deleted_and_brought_back(visit: Visit) -> None:
    page, broken = visit.page, visit.at.corpus / "broken.pdf"
    visit.tab("文章")
    row = page.locator("#failures .failures li").filter(has_text="broken.pdf")
    expect(row).to_contain_text("已损坏")
    assert "还是读不出来" in visit.outcome(lambda: row.locator(".retry").click())
    for _ in range(2):
        row.locator(".remove").click()
    expect(row).to_have_count(0)
    assert not broken.exists()
    page.click("#removed .undo")
    expect(row).to_have_count(1)
    broken.write_bytes(pdf_file([["修好的文件说：水塔容量是 75 吨。"]], title="水塔"))
    assert "新增 1 篇" in visit.outcome(lambda: row.locator(".retry").click())
    expect(row).to_have_count(0)
    assert "水塔" in _sources(visit, "水塔容量是多少？")


def test_a_failed_part_of_a_file_does_not_take_the_rest_along_unasked(visit: Visit, tmp_path: Path) -> None:
    page, archive = visit.page, tmp_path / "两篇.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("风车.md", "# 风车\n\n风车的叶片长 11 米。\n")
        packed.writestr("坏的.pdf", b"%PDF-1.4 nothing")
    visit.upload(archive)
    row = page.locator("#failures .failures li").filter(has_text="坏的.pdf")
    expect(row).to_have_count(1)
    assert "还是有读不出来的部分" in visit.outcome(lambda: row.locator(".retry").click())
    for _ in range(2):
        row.locator(".remove").click()
    expect(page.locator("#removed .wrong")).to_contain_text("共有 1 篇文章，只能一起删除")
    assert "风车" in _sources(visit, "风车的叶片长多少米？")
    for _ in range(2):
        page.locator("#removed .remove").click()
    expect(page.locator("#removed .removed")).to_contain_text("风车")
    expect(row).to_have_count(0)
    assert "风车" not in _sources(visit, "风车的叶片长多少米？")


def test_what_lies_in_the_folder_is_compared_with_the_index(visit: Visit) -> None:
    page = visit.page
    (visit.at.corpus / "新来的.md").write_text("# 新来的\n\n石榴巷的猫叫阿福。\n", "utf-8")
    (visit.at.corpus / "ferry.md").write_text(FERRY + "\n冬天末班提前一小时。\n", "utf-8")
    (visit.at.corpus / "harbour.md").rename(visit.at.index / "aside.md")
    visit.tab("文章")
    pending = page.locator("#failures .pending")
    expect(pending).to_contain_text("新文件 1 个，有改动 1 个，已不在 1 个")
    for name in ("新来的.md", "ferry.md", "harbour.md"):
        expect(pending).to_contain_text(name)
    (visit.at.index / "aside.md").rename(visit.at.corpus / "harbour.md")
    assert "新增 1 篇，改动 1 篇" in visit.rebuild()
    expect(page.locator("#failures")).to_contain_text("和索引一致")


def test_a_build_shows_counts_and_is_cancelled_from_any_tab(visit: Visit, other: Visit) -> None:
    many = visit.at.corpus / "许多"
    many.mkdir()
    for number in range(3000):
        (many / f"{number}.md").write_text(f"# 第{number}号记录\n\n" + f"第{number}号仓库存了{number}箱货。" * 40, "utf-8")
    visit.tab("文章")
    visit.page.click("#rebuild")
    for tab in (visit, other):
        expect(tab.page.locator("#report .work")).to_contain_text("/3,")
        expect(tab.page.locator("#report progress")).to_be_visible()
        expect(tab.page.locator("#cancel")).to_be_visible()
        expect(tab.page.locator("#state .updating")).to_be_visible()
    assert "老桥面包房" in _sources(visit, "面包房几点开炉？")
    other.page.click("#cancel")
    for tab in (visit, other):
        expect(tab.page.locator("#report .wrong")).to_contain_text("已取消")
        expect(tab.page.locator("#cancel")).to_be_hidden()
    expect(visit.listed("号记录")).to_have_count(0)
    expect(visit.page.locator("#failures .pending")).to_contain_text("新文件 3,000 个")
    for path in many.iterdir():
        path.unlink()
    many.rmdir()
    assert "内容没有变化" in visit.rebuild()
    assert "老桥面包房" in _sources(visit, "面包房几点开炉？")


BORDERLINE = (
    "面包房的老板是谁？", "坐船要花多少钱？", "渡船有雾的时候开吗？", "灯多久闪一下？", "学生坐船便宜吗？",
    "黑麦面包贵吗？", "港口什么时候建成？", "店主多大年纪？", "栈桥是谁修的？", "末班船之后怎么回家？",
    "面包房星期几休息？", "灯塔是什么颜色？", "核桃从哪里来？", "渡船能坐几个人？", "路灯为什么减半？",
)


def test_strict_declines_what_lenient_answers(visit: Visit) -> None:
    assistant = Assistant.open(visit.at.index)
    question = next(
        q for q in BORDERLINE
        if assistant.ask(q, mode=Mode.STRICT).status != assistant.ask(q, mode=Mode.LENIENT).status
    )
    page = visit.page
    expect(page.get_by_role("radio", name="均衡")).to_be_checked()
    expect(page.locator("#modes .hint")).to_be_visible()
    for mode, kind in (("宽松", "found"), ("严格", "missing"), ("宽松", "found")):
        page.get_by_role("radio", name=mode).check()
        visit.ask(question)
        expect(_last(visit).locator(f".reply.{kind}")).to_have_count(1)
        page.click("#clear")
        expect(page.locator(".turn")).to_have_count(0)
    page.get_by_role("radio", name="均衡").press("Space")
    expect(page.get_by_role("radio", name="均衡")).to_be_checked()


def test_a_reload_keeps_the_conversation_and_the_mode(visit: Visit, other: Visit) -> None:
    page = visit.page
    page.get_by_role("radio", name="严格").check()
    visit.ask("面包房几点开炉？")
    quote = _last(visit).locator("blockquote").first.text_content()
    page.reload()
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.get_by_role("radio", name="严格")).to_be_checked()
    page.locator(".source").first.click()
    assert visit.marked() == quote
    visit.ask("那里的招牌是什么？")
    expect(page.locator(".turn")).to_have_count(2)
    expect(other.page.locator(".turn")).to_have_count(0)
    expect(other.page.get_by_role("radio", name="均衡")).to_be_checked()
    page.click("#clear")
    expect(page.locator(".example").first).to_be_visible()
    page.reload()
    expect(page.locator(".example").first).to_be_visible()
    expect(page.locator(".turn")).to_have_count(0)


def test_each_kind_of_file_has_its_own_limit(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    whole = pdf_file([["磨房街的邮筒漆成绿色。"]], title="邮筒")
    start = whole.rpartition(b"startxref")[2]
    long = tmp_path / "long.pdf"
    long.write_bytes(whole + b"\n%" + b"x" * (MAX_BYTES + 1 - len(whole)) + b"\nstartxref" + start)
    assert long.stat().st_size > MAX_BYTES
    assert "新增 1 篇" in visit.upload(long)
    expect(page.locator(".too-big")).to_be_hidden()
    (visit.at.corpus / "long.pdf").unlink()

    def refused() -> None:
        expect(page.locator(".too-big")).to_be_visible()
        visit.round_trip()
        assert len([url for url in visit.requests if "/upload?" in url]) == sent

    sent = len([url for url in visit.requests if "/upload?" in url])
    small = tmp_path / "small.md"
    small.write_text("小文件。", "utf-8")
    for name, size in (("huge.pdf", LARGEST + 1), ("HUGE.TXT", MAX_BYTES + 1), ("table.csv", MAX_BYTES + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        page.set_input_files("#files input[type=file]", [small, tmp_path / name])
        refused()
    page.evaluate("document.querySelector('.too-big').hidden = true")
    dropped = page.evaluate_handle(
        "size => { const all = new DataTransfer(); all.items.add(new File([new Uint8Array(size)], '大.Md')); return all }",
        MAX_BYTES + 1,
    )
    page.dispatch_event("#files button", "drop", {"dataTransfer": dropped})
    refused()
