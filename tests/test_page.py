"""The page in a real browser: ask, open a citation, add an article, and nothing leaves the machine."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from askai.corpus import MAX_BYTES
from page_fixtures import PATIENCE_MS, Served, Visit, browser, environment, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["browser"]  # a fixture: pytest finds it in this module

BRIDGE = """---
title: 青石镇的石桥
date: 2024-05-06
source: 测试文章
---

青石镇的石桥建于 1587 年，由石匠周守田主持修建。石桥全长 46 米，有五个桥孔。

## 后来

1931 年的大水冲走了桥上的石狮。2008 年，镇上按旧照片补刻了十二只石狮。
"""
MILL = """# 柳河水磨坊

柳河水磨坊每天能磨 300 斤麦子。磨坊的水轮直径是 3.2 米，用柏木做成。

守磨人说，水位低于一尺时水轮就转不动，所以每年冬天磨坊要停三个月。
"""
HOSTILE = (
    "# 恶意文章<script>window.hacked=1</script>\n\n"
    "蜃楼装置的编号是 ZX-77。<img src=x onerror=\"window.hacked=1\"> <svg onload=window.hacked=1>\n\n"
    "[点这里](javascript:window.hacked=1) ![图](http://example.invalid/a.png) ${window.hacked=1} {{window.hacked=1}}\n\n"
    "</mark></div></article><iframe src='javascript:parent.hacked=1'></iframe> &lt;b&gt; &amp;\n\n"
    "控制字符\x07在此，反向\u202e顺序\u202c，零宽\u200b空格，表情👨‍👩‍👧‍👦和🀄，日本語の文、한국어、عربى。\n\n"
    + "很长的一行没有标点" * 3000
    + "\n"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page over three articles, one of them hostile; its index is built when it starts."""
    folder = tmp_path_factory.mktemp("page")
    corpus = folder / "articles"
    corpus.mkdir()
    for name, text in (("bridge.md", BRIDGE), ("mill.md", MILL), ("hostile.md", HOSTILE)):
        (corpus / name).write_text(text, "utf-8")
    (corpus / "broken.txt").write_bytes(bytes(range(256)) * 9)
    with served(corpus, folder / "index") as running:
        yield running


@pytest.fixture
def visit(browser: Browser, library: Served) -> Iterator[Visit]:
    """A fresh tab. Whatever a test did: no error, no script of an article, no request elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    visiting = Visit(context, library).ready()
    yield visiting
    hacked = visiting.page.evaluate("window.hacked")
    context.close()
    assert hacked is None
    assert visiting.errors == []
    elsewhere = {url for url in visiting.requests if urlsplit(url).hostname not in ("127.0.0.1", None)}
    assert not elsewhere
    assert {urlsplit(url).scheme for url in visiting.requests} <= {"http", "data", "blob"}


def _body(article: str) -> str:
    return article.rpartition("---\n\n")[2]


def test_a_citation_opens_its_excerpt_in_its_article(visit: Visit) -> None:
    page = visit.page
    visit.ask("青石镇的石桥建于哪一年？")
    reply = page.locator(".reply").last
    expect(reply.locator(".citation")).not_to_have_count(0)
    quote = reply.locator("blockquote").first.text_content()
    assert quote
    reply.locator(".source").first.click()
    assert visit.marked() == quote
    text = page.locator("#reader .text").text_content()
    assert text in (_body(BRIDGE), MILL)
    title = page.locator("#reader h2").text_content()
    assert title == reply.locator(".source .where").first.text_content()
    expect(page.locator("#reader .position")).to_contain_text("字")
    mark = page.locator("#reader mark.excerpt").first
    expect(mark).to_be_in_viewport()
    expect(mark).to_be_focused()


def test_a_summary_has_numbers_in_its_text_that_open_each_sentence(visit: Visit) -> None:
    page = visit.page
    visit.ask("总结一下《青石镇的石桥》")
    reply = page.locator(".reply.found").last
    count = reply.locator(".citation").count()
    assert count >= 1
    assert reply.locator(".lead .reference").count() == count
    for number in range(count):
        quote = reply.locator("blockquote").nth(number).text_content()
        reply.locator(".reference").nth(number).click()
        page.wait_for_function(
            "q => [...document.querySelectorAll('#reader mark.excerpt')].map(m => m.textContent).join('') === q",
            arg=quote,
        )


def test_the_same_citation_can_be_opened_twice(visit: Visit) -> None:
    page = visit.page
    visit.ask("总结一下《柳河水磨坊》")
    first = page.locator(".source").first
    first.click()
    expect(page.locator("#reader mark.excerpt").first).to_be_focused()
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#reader mark.excerpt").first).to_be_focused()


def test_an_uploaded_article_is_answered_from_at_once(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    new = tmp_path / "白露茶场（新）.txt"
    new.write_text("白露茶场在云台山南坡，海拔 870 米，每年只采一季春茶。\n", "utf-8")
    unreadable = tmp_path / "图片.md"
    unreadable.write_bytes(bytes(range(256)) * 9)
    told = visit.upload(new, unreadable)
    assert "已加入：白露茶场" in told
    assert "图片.md 没有加入" in told
    assert "新增 1 篇" in told
    assert (visit.at.corpus / new.name).read_text("utf-8") == new.read_text("utf-8")
    assert not (visit.at.corpus / unreadable.name).exists()
    expect(page.locator("#listing")).to_contain_text("白露茶场")
    expect(page.locator("#failures")).to_contain_text("broken.txt")
    visit.ask("总结一下《白露茶场（新）》")
    source = page.locator(".reply").last.locator(".source").filter(has_text="白露茶场").first
    source.click()
    expect(page.locator("#reader .text")).to_contain_text("海拔 870 米")
    assert visit.marked() in new.read_text("utf-8")


def test_a_file_that_is_too_big_is_refused_in_words(visit: Visit, tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    big.write_bytes("大".encode() * (MAX_BYTES // 3 + 1))
    visit.tab("文章")
    visit.page.set_input_files("#files input[type=file]", big)
    expect(visit.page.locator(".too-big")).to_be_visible()
    visit.round_trip()
    assert not [url for url in visit.requests if "/upload" in url]
    assert not (visit.at.corpus / big.name).exists()


def test_a_pasted_text_becomes_an_article(visit: Visit) -> None:
    page = visit.page
    visit.tab("文章")
    page.click("#pasting button")
    page.fill("#paste-title input, #paste-title textarea", '../../"怪"名字: <b>')
    page.fill("#paste-text textarea", "雾隐灯塔的灯每 12 秒闪一次。")
    told = visit.outcome(lambda: page.click("#paste-add"))
    assert "已加入" in told
    assert "新增 1 篇" in told
    listed = page.locator("#listing .listed").filter(has_text='../../"怪"名字: <b>')
    listed.click()
    expect(page.locator("#reader .text")).to_contain_text("每 12 秒闪一次")
    assert {p.parent for p in visit.at.corpus.rglob("*.md")} == {visit.at.corpus}


def test_the_list_is_filtered_and_opens_articles(visit: Visit) -> None:
    page = visit.page
    visit.tab("文章")
    page.fill("#wanted input, #wanted textarea", "水磨")
    expect(page.locator("#listing .listed")).to_have_count(1)
    page.locator("#listing .listed").click()
    expect(page.locator("#reader h2")).to_have_text("柳河水磨坊")
    expect(page.locator("#reader h2")).to_be_focused()
    assert page.locator("#reader .text").text_content() == MILL


def test_a_hostile_article_is_shown_literally(visit: Visit) -> None:
    page = visit.page
    visit.tab("文章")
    page.locator("#listing .listed").filter(has_text="恶意文章").click()
    text = page.locator("#reader .text")
    expect(text).to_contain_text('<img src=x onerror="window.hacked=1">')
    expect(text).to_contain_text("${window.hacked=1} {{window.hacked=1}}")
    expect(text).to_contain_text("[点这里](javascript:window.hacked=1)")
    expect(text).to_contain_text("👨‍👩‍👧‍👦和🀄，日本語の文、한국어、عربى")
    shown = page.locator("#reader .odd")
    codes = [shown.nth(i).get_attribute("data-code") for i in range(shown.count())]
    assert codes == ["U+0007", "U+202E", "U+202C", "U+200B"]
    assert page.locator("#reader, #listing").locator("a, img, svg, script, iframe, form").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.ask("蜃楼装置的编号是什么？")
    visit.ask("总结一下《恶意文章》")
    page.locator(".source").first.click()
    visit.marked()
    assert page.locator("#conversation").locator("a, img, script, iframe, form").count() == 0


@pytest.mark.parametrize(
    "question",
    [
        "<script>window.hacked=1</script>",
        '"><img src=x onerror=window.hacked=1>',
        "[石桥](javascript:window.hacked=1) ![](http://example.invalid/q.png)",
        "${window.hacked=1}`{{constructor.constructor('window.hacked=1')()}}",
        "石桥" * 450,
        "emoji 👩‍🚀 テスト 한국어 石橋 bridge?",
    ],
)
def test_a_hostile_question_is_shown_literally(visit: Visit, question: str) -> None:
    visit.ask(question)
    asked = visit.page.locator(".turn").last.locator(".question")
    assert (asked.text_content() or "").removeprefix("你问：") == question
    assert visit.page.locator("#conversation").locator("a, img, script, iframe").count() == 0


def test_an_impossible_question_gets_words_and_not_a_trace(visit: Visit) -> None:
    page = visit.page
    visit.ask("长" * 1500)
    trouble = page.locator(".reply.trouble")
    expect(trouble).to_contain_text("上限")
    page.fill("#question textarea", "   ")
    page.press("#question textarea", "Enter")
    visit.ask("你好")
    expect(page.locator(".turn")).to_have_count(2)


def test_a_question_sent_while_another_event_is_under_way_is_answered(visit: Visit) -> None:
    page = visit.page
    held: list[Route] = []

    # A function of its own: Playwright cannot bind the list's built-in method.
    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/queue/join*", hold, times=1)
    page.fill("#question textarea", "   ")
    page.press("#question textarea", "Enter")
    # The first submit stays under way until the question after it has been sent.
    for _ in range(200):
        if held:
            break
        page.wait_for_timeout(50)
    assert held, "the first submit never left the page"
    page.fill("#question textarea", "你好")
    page.press("#question textarea", "Enter")
    page.wait_for_timeout(300)
    held[0].continue_()
    page.locator(".turn .reply:not(.waiting)").wait_for()
    expect(page.locator(".turn")).to_have_count(1)


def test_enter_that_picks_a_candidate_does_not_send(visit: Visit) -> None:
    page = visit.page
    page.fill("#question textarea", "shiqiao")
    sent = page.evaluate(
        """() => {
            const box = document.querySelector("#question textarea");
            const reached = [];
            for (const kind of ["keydown", "keypress"]) box.addEventListener(kind, (e) => reached.push(e.key));
            const key = (kind, more) =>
                box.dispatchEvent(new KeyboardEvent(kind, { key: "Enter", bubbles: true, cancelable: true, ...more }));
            const enter = (more) => { key("keydown", more); key("keypress", more); };
            box.focus();
            box.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
            enter({ isComposing: true, keyCode: 229 });
            enter({ keyCode: 13 });
            box.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true, data: "石桥" }));
            enter({ keyCode: 229 });
            enter({ keyCode: 13 });
            return reached;
        }"""
    )
    assert sent == []
    visit.round_trip()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#question textarea")).to_have_value("shiqiao")
    page.press("#question textarea", "Enter")
    expect(page.locator(".turn")).to_have_count(1)


def test_enter_during_a_composition_of_the_browser_does_not_send(visit: Visit) -> None:
    page = visit.page
    page.focus("#question textarea")
    session = visit.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "ni hao", "selectionStart": 6, "selectionEnd": 6})
    expect(page.locator("#question textarea")).to_have_value("ni hao")
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
    session.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": "\r", **enter})
    session.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    visit.round_trip()
    expect(page.locator(".turn")).to_have_count(0)
    page.fill("#question textarea", "你好")
    page.keyboard.press("Enter")
    expect(page.locator(".turn .question")).to_contain_text("你好")


def test_copy_and_clear(visit: Visit) -> None:
    page = visit.page
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.ask("总结一下《柳河水磨坊》")
    page.locator(".copy").first.click()
    expect(page.locator(".copy").first).to_have_text("已复制")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("问：总结一下《柳河水磨坊》\n答：")
    assert "[1] 《柳河水磨坊》" in copied
    page.click("#clear")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator(".example").first).to_be_visible()
    page.locator(".example").first.click()
    expect(page.locator(".turn .reply:not(.waiting)")).to_have_count(1)


def test_a_phone_has_everything_in_one_column(browser: Browser, library: Served) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    visiting = Visit(context, library).ready()
    page = visiting.page
    visiting.ask("总结一下《青石镇的石桥》")
    page.locator(".source").first.click()
    expect(page.locator("#reader mark.excerpt").first).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".back").click()
    expect(page.locator("#question textarea")).to_be_focused()
    context.close()


def test_another_process_rebuilds_and_the_page_follows(visit: Visit) -> None:
    (visit.at.corpus / "later.md").write_text("# 海棠渡口\n\n海棠渡口的末班船是晚上 9 点。\n", "utf-8")
    code = (
        "import sys; from pathlib import Path; from askai.assistant import Assistant; "
        "Assistant.build([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(visit.at.corpus), str(visit.at.index)]
    subprocess.run(command, check=True, env=environment(), timeout=PATIENCE_MS / 1000)
    visit.ask("总结一下《海棠渡口》")
    expect(visit.page.locator(".reply").last).to_contain_text("晚上 9 点")
    visit.tab("文章")
    expect(visit.page.locator("#listing")).to_contain_text("海棠渡口")


def test_two_visitors_have_two_conversations(visit: Visit, browser: Browser) -> None:
    other = browser.new_context()
    visiting = Visit(other, visit.at).ready()
    visit.ask("你好")
    visiting.ask("谢谢")
    expect(visiting.page.locator(".turn")).to_have_count(1)
    expect(visit.page.locator(".turn")).to_have_count(1)
    other.close()


def _status(at: Served, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> int:
    address = urlsplit(at.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.request(method, path, headers=headers or {})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_server_gives_no_files_and_refuses_other_sites(library: Served) -> None:
    assert _status(library, "/") == 200
    for path in (
        "/gradio_api/file=/etc/passwd",
        f"/gradio_api/file={library.corpus}/bridge.md",
        "/gradio_api/file=http://example.invalid/",
        "/gradio_api/file/../../etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/proxy=http://example.invalid/",
        "/static/../../../../../../etc/passwd",
        "/gradio_api/%66ile=/etc/passwd",
    ):
        assert _status(library, path) in (403, 404), path
    own = urlsplit(library.url).netloc
    assert _status(library, "/", {"Host": "evil.example"}) == 403
    assert _status(library, "/", {"Host": own, "Origin": f"http://{own}"}) == 200
    assert _status(library, "/gradio_api/upload", {"Host": own, "Origin": "http://evil.example"}, "POST") == 403
    assert _status(library, "/gradio_api/upload", {"Host": own, "Origin": "null"}, "POST") == 403


def test_a_page_without_articles_says_so_and_recovers(browser: Browser, tmp_path: Path) -> None:
    corpus = tmp_path / "空"
    corpus.mkdir()
    with served(corpus, tmp_path / "index") as running:
        context = browser.new_context()
        visiting = Visit(context, running)
        page = visiting.page
        expect(page.locator("#state .failed")).to_contain_text("没有可读的文章")
        visiting.ask("有人吗？")
        expect(page.locator(".reply.trouble")).to_contain_text("没有可读的文章")
        first = tmp_path / "第一篇.md"
        first.write_text("# 第一篇\n\n铜铃铛一共有 7 个。\n", "utf-8")
        assert "1 篇文章" in visiting.upload(first)
        visiting.ready()
        visiting.ask("总结一下《第一篇》")
        expect(page.locator(".reply.found").last).to_contain_text("7 个")
        visiting.remove("第一篇")
        expect(page.locator("#state")).to_contain_text("0 篇文章")
        visiting.ask("铜铃铛一共有几个？")
        expect(page.locator(".turn").last.locator(".citation")).to_have_count(0)
        page.click("#removed .undo")
        expect(page.locator("#state")).to_contain_text("1 篇文章")
        visiting.ask("铜铃铛一共有几个？")
        expect(page.locator(".reply.found").last).to_contain_text("7 个")
        context.close()
