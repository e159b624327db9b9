"""The retriever: forms of writing, codes, stand-in words, near-duplicates, fusion, odd questions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from askai.encoder import load_encoder
from askai.index import Index
from askai.retrieval import DENSE_WEIGHT, SYNONYM_WEIGHT, lexical_scores, retrieve
from askai.text import fold, units
from askai.types import Article, Hit
from making import HOSTILE_QUESTIONS, LetterEncoder, index_of

TEXTS = {
    "printer": "示例产品 PPR-9087 的标准版售价为 699 元，充满电约需 90 分钟，可以打印 25 张照片。",
    "older-printer": "上一代 PPR-8086 打印一张照片需要 58 秒，充电口是 Micro-USB，色带型号为 RC-10。",
    "model": "OpenAI 準備讓 GPT-5.2 提早登場，最快在十二月八日開始的那一週發佈。",
    "older-model": "OpenAI 在八月七日发布了 GPT-5，在十一月十二日发布了 GPT-5.1。",
    "spring": "北投溫泉的青磺泉源頭在地熱谷，日本學者岡本要八郎在北投溪發現了北投石。",
    "canal": "隋炀帝开凿通济渠，从洛阳通到淮河；元朝的郭守敬主持修建了通惠河。",
    "law": "劳动者在试用期内提前三日通知用人单位，就可以解除劳动合同，不需要说明理由。",
    "tomato": "番茄喜欢阳光和温暖，阳台上每天要有六小时以上的直射光，花盆至少十升。",
}


def make(texts: dict[str, str], **titles: str) -> Index:
    chosen = [Article(id, titles.get(id.replace("-", "_"), id), f"{id}.md", t) for id, t in texts.items()]
    return index_of(chosen)


@pytest.fixture(scope="module")
def index() -> Index:
    return make(TEXTS)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.passage.article_id for hit in hits]


def keyword_best(index: Index, question: str) -> str:
    return ids(retrieve(index, load_encoder(), question, leg="bm25"))[0]


FORMS = [
    ("北投石是谁发现的？", "spring"),
    ("北投石是誰發現的？", "spring"),
    ("通濟渠從洛陽通到哪裡", "canal"),
    ("郭守敬主持修建了什麼運河", "canal"),
    ("勞動者試用期辭職要提前幾日通知", "law"),
    ("番茄喜歡陽光嗎", "tomato"),
    ("ｐｐｒ－９０８７的售价", "printer"),
    ("ppr-9087 多少钱", "printer"),
    ("PPR-9087？", "printer"),
    ("PPR-8086 打印要多久", "older-printer"),
    ("rc-10", "older-printer"),
    ("GPT-5.2 什么时候发布", "model"),
    ("gpt-5.2", "model"),
    ("ＧＰＴ－５．２", "model"),
    ("gpt-5.1 什么时候发布", "older-model"),
    ("OPENAI 的 Gpt-5.1", "older-model"),
    ("micro-usb", "older-printer"),
]


@pytest.mark.parametrize(("question", "expected"), FORMS)
def test_forms_of_writing(index: Index, question: str, expected: str) -> None:
    assert keyword_best(index, question) == expected


@pytest.mark.parametrize(("question", "expected"), FORMS)
def test_form_does_not_change_the_hits(index: Index, question: str, expected: str) -> None:
    """Scores come from the folded text alone, on every leg."""
    encoder = load_encoder()
    for leg in ("fused", "bm25", "dense"):
        assert retrieve(index, encoder, question, leg=leg) == retrieve(index, encoder, fold(question), leg=leg)


def test_whole_code_counts_more_than_its_parts(index: Index) -> None:
    own, _ = lexical_scores(index, "GPT-5.2")
    place = {index.ids[int(row[0])]: float(own[n]) for n, row in enumerate(index.table)}
    assert place["model"] > place["older-model"] > place["canal"] == 0


@pytest.mark.parametrize(
    ("question", "expected"),
    [("这个多少钱", "printer"), ("谁不干了", "officer"), ("誰辭職了", "officer")],
)
def test_stand_ins_raise_the_right_passage(question: str, expected: str) -> None:
    """Everyday words and the formal ones of the articles, where the question's own words find nothing."""
    index = make(TEXTS | {"officer": "首席财务官周某已于五月离职，继任者尚未公布。"})
    row = next(n for n, entry in enumerate(index.table) if index.ids[int(entry[0])] == expected)
    own, stand_ins = lexical_scores(index, question)
    assert stand_ins[row] > 0
    assert int(stand_ins.argmax()) == row
    assert own[row] == 0
    hit = next(h for h in retrieve(index, load_encoder(), question) if h.row == row)
    cosine = index.vectors.vector(row) @ load_encoder().encode_question(question)
    assert hit.score == pytest.approx(SYNONYM_WEIGHT * stand_ins[row] + DENSE_WEIGHT * cosine, abs=1e-5)


def test_title_and_heading_count() -> None:
    same = "它的重量是二百八十六克，外壳有三种颜色，附带一根数据线和一本说明书，保修期为一年。"
    index = index_of([
        Article("a", "青禾耳机", "a.md", same),
        Article("b", "蓝榆打印机", "b.md", same + "！"),
        Article("c", "手册", "c.md", f"# 手册\n\n## 红杉音箱\n\n{same}？\n"),
    ])  # fmt: skip
    for word, expected in (("青禾耳机多重", "a"), ("蓝榆打印机多重", "b"), ("红杉音箱多重", "c")):
        assert keyword_best(index, word) == expected


NOTICE = "本周六上午九点至十一点，东区三号楼将停水检修，请各位住户提前储水，检修期间请关好水龙头，以免来水时溢出。"


def test_near_duplicates_are_dropped() -> None:
    index = make({"one": NOTICE, "two": NOTICE, "three": NOTICE.replace("，请各位", "。请各位"), "traditional":
                  "本週六上午九點至十一點，東區三號樓將停水檢修，請各位住戶提前儲水，檢修期間請關好水龍頭，以免來水時溢出。",
                  "other": "物业办公室的电话是八八六六，周末也有人值班。"})  # fmt: skip
    found = ids(retrieve(index, load_encoder(), "什么时候停水检修？"))
    assert len(found) == 2
    assert "other" in found


def test_like_passages_about_different_things_stay() -> None:
    index = make({f"n{n}": f"{n}号灯塔高{n}米，建于19{n}年，由{name}主持修建。" for n, name in
                  ((11, "周怀远"), (22, "陈望"), (33, "林知远"))})  # fmt: skip
    assert len(retrieve(index, load_encoder(), "灯塔是谁修建的？")) == 3


def test_short_passages_are_no_duplicates_of_each_other() -> None:
    index = make({"a": "甲", "b": "乙", "c": "甲"})
    assert len(retrieve(index, load_encoder(), "甲")) == 3


def test_order_and_size(index: Index) -> None:
    for leg in ("fused", "bm25", "dense"):
        for k in (1, 3, 50):
            hits = retrieve(index, load_encoder(), "打印机的售价", k, leg)
            assert len(hits) == min(k, len(TEXTS))
            scores = [hit.score for hit in hits]
            assert scores == sorted(scores, reverse=True)
            assert len({hit.row for hit in hits}) == len(hits)


def test_fewer_passages_than_the_pool() -> None:
    """With 300 passages the legs look at 60 each: every hit still has its whole score."""
    index = make({f"n{n}": f"第{n}号仓库存放着{'苹果梨子香蕉西瓜葡萄樱桃'[n % 6 * 2:][:2]}，编号为 W-{n}。" for n in range(300)})
    question = "哪个仓库存放着樱桃？W-77"
    encoder = load_encoder()
    own, stand_ins = lexical_scores(index, question)
    exact = own + SYNONYM_WEIGHT * stand_ins + DENSE_WEIGHT * (
        index.vectors.vectors() @ encoder.encode_question(question)
    )
    hits = retrieve(index, encoder, question)
    assert len(hits) == 50
    for hit in hits:
        assert hit.score == pytest.approx(float(exact[hit.row]), abs=1e-5)
    # What only one leg found is not lost: the best by the sum of both is the first hit.
    assert hits[0].row == int(exact.argmax())


def test_asking_again_gives_the_same(index: Index) -> None:
    first = retrieve(index, load_encoder(), "北投石是谁发现的？")
    assert all(retrieve(index, load_encoder(), "北投石是谁发现的？") == first for _ in range(3))


@pytest.mark.parametrize("question", ["", " ", "。", "？？？", *HOSTILE_QUESTIONS])
def test_odd_questions(index: Index, question: str) -> None:
    for leg in ("fused", "bm25", "dense"):
        hits = retrieve(index, load_encoder(), question, leg=leg)
        assert len(hits) == len(TEXTS)
        assert np.isfinite([hit.score for hit in hits]).all()


@settings(max_examples=40)
@given(question=st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_any_question(index: Index, question: str) -> None:
    hits = retrieve(index, load_encoder(), question)
    assert len(hits) == len(TEXTS)
    assert np.isfinite([hit.score for hit in hits]).all()


@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_units_are_the_same_for_every_form(text: str) -> None:
    assert list(units(fold(text))) == list(units(fold(fold(text))))


def test_one_passage() -> None:
    index = make({"only": "只有这一句话。"})
    assert ids(retrieve(index, load_encoder(), "什么？")) == ["only"]


def test_passages_without_any_word() -> None:
    index = make({"a": "。。。", "b": "——", "c": "！"})
    assert sorted(ids(retrieve(index, load_encoder(), "打印机"))) == ["a", "b", "c"]


def test_another_encoder_ranks_the_dense_leg(index: Index) -> None:
    encoder = LetterEncoder()
    other = index_of(list(index.articles.values()), encoder)
    question = TEXTS["canal"]
    hits = retrieve(other, encoder, question, leg="dense")
    exact = other.vectors.vectors() @ encoder.encode_question(question)
    assert hits[0].row == int(exact.argmax())
    assert [h.score for h in hits] == pytest.approx(sorted(exact, reverse=True), abs=1e-5)
