"""The static encoder read by numpy against sentence-transformers, and other models in its place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from askai.assistant import Assistant
from askai.encoder import (
    DEFAULT,
    MODELS,
    SentenceTransformerEncoder,
    StaticEncoder,
    bag,
    load_encoder,
)
from askai.errors import AskaiError, ModelError
from askai.text import HAN_CHAR, fold, units
from making import HOSTILE_TEXTS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TEXTS = [
    "PPR-9087 的售价是 699 元。",
    "北投石是誰發現的？",
    "ＧＰＴ－５．２　什麼時候發佈",
    "Meta 的 Vibes 在 iOS 免費榜排第 97 位",
    "的",
    "x",
    "",
    " ",
    "🙂🙂",
    "…",
    "𠮷野家",
    *HOSTILE_TEXTS.values(),
]
# Both multiply the 8-bit rows out and sum in floats, in another order.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def static() -> StaticEncoder:
    return StaticEncoder(MODELS / DEFAULT)


@pytest.fixture(scope="module")
def reference() -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(MODELS / DEFAULT), device="cpu", local_files_only=True)


def letters_model(folder: Path, prompts: dict[str, str] | None = None) -> Path:
    """A tiny sentence-transformers model whose tokens are single characters, saved into ``folder``."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    chars = ["[UNK]", *dict.fromkeys("为这个句子生成表示以用于检索相关文章：打印机售价多少元问题标准版灯塔建于年人")]
    tokenizer = Tokenizer(WordLevel({char: n for n, char in enumerate(chars)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    weights = torch.nn.init.normal_(torch.empty(len(chars), 8), generator=torch.Generator().manual_seed(3))
    module = StaticEmbedding(tokenizer, embedding_weights=weights.numpy())
    model = SentenceTransformer(modules=[module], device="cpu", prompts=prompts)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def direction(folder: Path, text: str) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return np.asarray(model.encode(text, prompt="", normalize_embeddings=True, show_progress_bar=False))


def test_equals_sentence_transformers(static: StaticEncoder, reference: SentenceTransformer) -> None:
    chosen = [text for text in TEXTS if bag(text)]
    theirs = reference.encode(
        [" ".join(bag(text)) for text in chosen], normalize_embeddings=True, show_progress_bar=False
    )
    mine = static.encode_passages(chosen)
    np.testing.assert_allclose(mine, np.asarray(theirs, np.float32), atol=TOLERANCE)


@settings(max_examples=60)
@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=80))
def test_equals_sentence_transformers_for_any_text(
    static: StaticEncoder, reference: SentenceTransformer, text: str
) -> None:
    chosen = bag(text)
    if chosen:
        theirs = reference.encode(" ".join(chosen), normalize_embeddings=True, show_progress_bar=False)
        np.testing.assert_allclose(static.encode_question(text), theirs, atol=TOLERANCE)


def test_repeated_units_count_less_than_in_proportion() -> None:
    assert [bag("价格，" * n).count("价格") for n in (1, 2, 3, 10, 100)] == [1, 2, 2, 5, 25]


def test_a_unit_never_seen_weighs_next_to_nothing(static: StaticEncoder) -> None:
    unseen = " qzxvkj" * 50
    assert "qzxvkj" in bag(unseen)
    np.testing.assert_allclose(static.encode_question("价格" + unseen), static.encode_question("价格"), atol=1e-4)
    assert np.linalg.norm(static.encode_question(unseen)) == pytest.approx(1.0)


@given(text=st.text(max_size=80))
def test_bag_drops_no_unit_and_adds_none(text: str) -> None:
    folded = fold(text)
    all_units = [*units(folded), *HAN_CHAR.findall(folded)]
    assert set(bag(text)) == set(all_units)
    assert len(bag(text)) <= len(all_units)


def test_equals_sentence_transformers_beside_many_units_never_seen(
    static: StaticEncoder, reference: SentenceTransformer
) -> None:
    for known in ("", "的", "价格"):
        text = known + "".join(chr(0x20100 + 7 * i) for i in range(300))
        theirs = reference.encode(" ".join(bag(text)), normalize_embeddings=True, show_progress_bar=False)
        np.testing.assert_allclose(static.encode_question(text), theirs, atol=TOLERANCE)


def test_units_hold_no_white_space() -> None:
    """The tokenizer that ships cuts at white space: a unit with some would be two of its tokens."""
    for text in TEXTS:
        assert all(not any(char.isspace() for char in unit) for unit in bag(text))


def test_vectors_are_unit_length_float32(static: StaticEncoder) -> None:
    vectors = static.encode_passages(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), static.dimensions)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)


def test_question_and_passage_share_a_space(static: StaticEncoder) -> None:
    text = "PPR-9087 的售价是多少？"
    np.testing.assert_array_equal(static.encode_question(text), static.encode_passages([text])[0])


def test_no_texts(static: StaticEncoder) -> None:
    assert static.encode_passages([]).shape == (0, static.dimensions)


def test_texts_do_not_influence_each_other(static: StaticEncoder) -> None:
    together = static.encode_passages(TEXTS)
    alone = np.stack([static.encode_passages([text])[0] for text in TEXTS])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("one", "other"),
    [("GPT-5.2 发布", "ｇｐｔ－５．２ 發佈"), ("北投溫泉", "北投温泉"), ("IPHONE", "iphone"), ("￥１，２９９", "￥1,299")],
)
def test_forms_of_writing_make_no_difference(static: StaticEncoder, one: str, other: str) -> None:
    np.testing.assert_array_equal(static.encode_question(one), static.encode_question(other))


def test_codes_stay_whole() -> None:
    assert "gpt-5.2" in bag("GPT-5.2 何时发布")
    assert "ppr-9087" in bag("ＰＰＲ－９０８７多少钱")


def test_fingerprint_tells_weights_apart(static: StaticEncoder, tmp_path: Path) -> None:
    copy = shutil.copytree(MODELS / DEFAULT, tmp_path / DEFAULT)
    assert StaticEncoder(copy).fingerprint == static.fingerprint
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(data)
    assert StaticEncoder(copy).fingerprint != static.fingerprint


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_damaged_files_give_a_model_error(tmp_path: Path, name: str, damage: str) -> None:
    copy = shutil.copytree(MODELS / DEFAULT, tmp_path / "model")
    file = copy / name
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "garbage": b"\x80" * 64}[damage])
    with pytest.raises(ModelError, match="重新安装 askai"):
        StaticEncoder(copy)


def with_units(units: dict[str, object]) -> dict[str, object]:
    return {"model": {"vocab": units}}


@pytest.mark.parametrize(
    "vocabulary",
    [{}, [], {"model": []}, {"model": {"vocab": ["a"]}}, "x", with_units({}), with_units({"的": "x"}),
     with_units({"的": 50_000})],
)
def test_foreign_tokenizer_gives_a_model_error(tmp_path: Path, vocabulary: object) -> None:
    copy = shutil.copytree(MODELS / DEFAULT, tmp_path / "model")
    (copy / "tokenizer.json").write_text(json.dumps(vocabulary), "utf-8")
    with pytest.raises(ModelError):
        StaticEncoder(copy)


def test_default_by_every_name() -> None:
    for name in (None, DEFAULT, str(MODELS / DEFAULT)):
        assert isinstance(load_encoder(name), StaticEncoder)


def test_another_model(tmp_path: Path) -> None:
    folder = letters_model(tmp_path / "letters")
    encoder = load_encoder(str(folder))
    assert isinstance(encoder, SentenceTransformerEncoder)
    vectors = encoder.encode_passages(["打印机", "灯塔建于", "？"])
    assert vectors.shape == (3, 8)
    assert vectors.dtype == np.float32
    assert encoder.dimensions == 8
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_question("打印机"), vectors[0], atol=1e-6)
    assert encoder.encode_passages([]).shape == (0, 8)
    assert encoder.fingerprint.startswith("letters:")


def test_instruction_of_bge_is_for_questions_only(tmp_path: Path) -> None:
    folder = letters_model(tmp_path / "bge-small-zh-v1.5")
    encoder = SentenceTransformerEncoder(str(folder))
    asked = "打印机多少元"
    instructed = direction(folder, f"为这个句子生成表示以用于检索相关文章：{asked}")
    plain = direction(folder, asked)
    assert not np.allclose(instructed, plain, atol=1e-2)
    np.testing.assert_allclose(encoder.encode_question(asked), instructed, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_passages([asked])[0], plain, atol=1e-6)


def test_prompts_of_the_model_itself_are_used(tmp_path: Path) -> None:
    folder = letters_model(tmp_path / "prompted", {"query": "问题：", "document": "文章："})
    encoder = SentenceTransformerEncoder(str(folder))
    np.testing.assert_allclose(encoder.encode_question("售价"), direction(folder, "问题：售价"), atol=1e-6)
    np.testing.assert_allclose(encoder.encode_passages(["售价"])[0], direction(folder, "文章：售价"), atol=1e-6)


def test_fingerprints_of_models_differ(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    one = letters_model(tmp_path / "one" / "same-name")
    two = Path(shutil.copytree(one, tmp_path / "two" / "same-name"))
    assert SentenceTransformerEncoder(str(one)).fingerprint == SentenceTransformerEncoder(str(two)).fingerprint
    weights = next(two.rglob("*.safetensors"))
    tensors = {key: tensor + torch.ones_like(tensor) for key, tensor in load_file(weights).items()}
    save_file(tensors, weights)
    assert SentenceTransformerEncoder(str(one)).fingerprint != SentenceTransformerEncoder(str(two)).fingerprint


@pytest.mark.parametrize("name", ["no-such-owner/no-such-model", "/no/such/folder", "", "没有这个模型", "../nothing", "x" * 300])
def test_wrong_name_gives_a_model_error_in_chinese(name: str) -> None:
    with pytest.raises(ModelError, match="无法加载模型") as caught:
        load_encoder(name)
    assert "--model" in str(caught.value)
    assert isinstance(caught.value, AskaiError)


@pytest.mark.parametrize("content", [{}, {"modules.json": "["}, {"modules.json": "[{}]"}, {"config.json": "{}"}])
def test_folder_without_a_model_gives_a_model_error(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ModelError, match="无法加载模型"):
        load_encoder(str(tmp_path))


def test_nothing_is_looked_up_on_the_network(tmp_path: Path) -> None:
    """Not even where something imported huggingface_hub first, as gradio does: then its own switch is too late."""
    script = (
        "import socket, sys\n"
        "import huggingface_hub.constants\n"
        "def refuse(*a, **k):\n"
        "    print('LOOKED UP', a[0]); raise OSError('no network here')\n"
        "socket.getaddrinfo = refuse\n"
        "from askai.encoder import load_encoder\n"
        "from askai.errors import ModelError\n"
        "try:\n"
        "    load_encoder('no-such-owner/no-such-model')\n"
        "except ModelError:\n"
        "    print('declined')\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.stdout.split() == ["declined"], done.stdout + done.stderr


def test_whole_pipeline_with_another_model(tmp_path: Path) -> None:
    folder = letters_model(tmp_path / "letters")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.md").write_text("# 打印机\n\n标准版打印机的售价是699元。\n", "utf-8")
    Assistant.build([corpus], tmp_path / "index", model=str(folder))
    opened = Assistant.open(tmp_path / "index")
    assert opened.manifest["model"] == str(folder)
    assert opened.retrieve("打印机售价多少元")[0].passage.article_id == "a"
    assert opened.rebuild([corpus]).reused_vectors == 1
