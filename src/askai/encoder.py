"""Encoders: the static one that ships, read without torch, and any sentence-transformers model."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any, cast

import numpy as np

from askai.errors import ModelError
from askai.text import HAN_CHAR, HAN_RANGES, fold, units
from askai.types import Encoder, Floats, Ints

MODELS = Path(__file__).parent / "models"
DEFAULT = "askai-static-zh"

_SUBLINEAR = 0.7
_BEYOND_HAN = HAN_RANGES[-1][1] + 1

# Instructions that published models were trained with; others take the question as it is unless
# their own configuration names a prompt for queries.
_BGE_ZH = "为这个句子生成表示以用于检索相关文章："
_INSTRUCTIONS = {"bge-small-zh": _BGE_ZH, "bge-base-zh": _BGE_ZH, "bge-large-zh": _BGE_ZH}


def bag(text: str) -> list[str]:
    """The units that the static encoder averages: keyword units and every Han character.

    A unit that occurs n times stands there about n ** 0.7 times: what a passage repeats says more about it, but
    not in proportion (sublinear term frequency, Salton and Buckley 1988).
    """
    folded = fold(text)
    counts = Counter([*units(folded), *HAN_CHAR.findall(folded)])
    return [unit for unit, n in counts.items() for _ in range(int(n**_SUBLINEAR + 0.5))]


def _numbers_of_characters(numbers: Mapping[str, int]) -> Ints:
    """int64 by code point: the number of each Han character, 0 where it has none; -1 for other characters."""
    found = np.full(_BEYOND_HAN + 1, -1, np.int64)
    for first, last in HAN_RANGES:
        found[first : last + 1] = 0
    for unit, number in numbers.items():
        if len(unit) == 1 and HAN_CHAR.match(unit):
            found[ord(unit)] = number
    return found


class StaticEncoder:
    """Reads a ``StaticEmbedding`` folder with numpy alone: ready in a fraction of a second.

    ``embeddings`` int8 (units, dimensions) and ``weights`` float32 (units,), by which each row is
    multiplied: the layout of model2vec, which sentence-transformers opens as well and which gives the same
    vectors for ``" ".join(bag(text))``. Raises ``ModelError`` where a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        weights = folder / "model.safetensors"
        try:
            vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
            tensors = load_file(weights)
            self._table, self._scales = tensors["embeddings"], tensors["weights"]
            self._ids: dict[str, int] = dict(vocabulary)
            self._characters = _numbers_of_characters(self._ids)
            if max(self._ids.values()) >= len(self._table) or self._table.shape[:1] != self._scales.shape:
                raise ValueError("tokenizer.json 与 model.safetensors 不配套")
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(
                f"模型文件夹 {folder} 缺文件或已损坏（{error}）。请重新安装 askai，或用 --model 指定别的模型。"
            ) from error
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
        self.fingerprint = f"{folder.name}:{digest}"
        self.dimensions = int(self._table.shape[1])

    def _counted(self, keywords: Sequence[Sequence[str]], folded: Sequence[str]) -> tuple[Ints, Ints, Floats]:
        """Each text's units, each once: whose, int64 (m,) ascending; which, int64 (m,); its weight, float32 (m,)."""
        # One pass over all texts: cutting them is then what most of the time goes into.
        flat = chain.from_iterable(keywords)
        numbers = np.fromiter(map(self._ids.get, flat, repeat(0)), np.int64, sum(map(len, keywords)))
        codes = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), "<u4")
        characters = self._characters[np.minimum(codes, _BEYOND_HAN)]
        rows = np.arange(len(folded))
        # A text without units still has a direction, that of unknown ones; they weigh next to nothing elsewhere.
        which = np.concatenate([np.zeros_like(rows), numbers, characters])
        whose = np.concatenate([rows, np.repeat(rows, [*map(len, keywords)]), np.repeat(rows, [*map(len, folded)])])
        found, counts = np.unique((whose * len(self._table) + which)[which >= 0], return_counts=True)
        whose, which = np.divmod(found, len(self._table))
        return whose, which, np.floor(counts**_SUBLINEAR + 0.5).astype(np.float32) * self._scales[which]

    def encode_units(self, keywords: Sequence[Sequence[str]], folded: Sequence[str]) -> Floats:
        """float32 (n, dimensions): the unit-length mean of each text's unit vectors.

        ``keywords[i]`` are the keyword units of ``folded[i]``: a caller that has them need not cut the text again.
        """
        whose, which, weights = self._counted(keywords, folded)
        ends = np.searchsorted(whose, np.arange(len(folded) + 1))
        out = np.empty((len(folded), self.dimensions), np.float32)
        for row, (begin, end) in enumerate(pairwise(ends.tolist())):
            out[row] = weights[begin:end] @ self._table[which[begin:end]].astype(np.float32)
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        return cast(Floats, out / np.maximum(norms, 1e-12))

    def encode_passages(self, texts: Sequence[str]) -> Floats:
        folded = [fold(text) for text in texts]
        return self.encode_units([list(units(text)) for text in folded], folded)

    def encode_question(self, question: str) -> Floats:
        return cast(Floats, self.encode_passages([question])[0])


def _stay_offline() -> None:
    """Keep huggingface_hub from the network, also where it was imported before this, as gradio does."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True


class SentenceTransformerEncoder:
    """Any sentence-transformers model by name or path; imported when first used.

    Raises ``ModelError`` where the model cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        _stay_offline()
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer

        try:
            self._model = SentenceTransformer(name, device="cpu", local_files_only=True)
            self.dimensions = int(self._model.get_embedding_dimension() or 0)
        except (
            OSError, ValueError, RuntimeError, ImportError, LookupError, AttributeError, TypeError,
            SafetensorError,
        ) as error:
            raise ModelError(
                f"无法加载模型 {name}：{error}。askai 不联网下载：请先把模型下载到本机，"
                "再用 --model 给出它的文件夹；或去掉 --model 使用自带模型。"
            ) from error
        self.fingerprint = f"{Path(name).name}:{self._digest()}"
        prompts = self._model.prompts or {}
        known = next((v for k, v in _INSTRUCTIONS.items() if k in name.lower()), "")
        self._question_prompt = prompts.get("query") or prompts.get("question") or known
        self._passage_prompt = prompts.get("document") or prompts.get("passage") or ""

    def _digest(self) -> str:
        state: dict[str, Any] = self._model.state_dict()
        digest = hashlib.sha256()
        for key in sorted(state):
            tensor = state[key]
            digest.update(f"{key}{tuple(tensor.shape)}".encode())
            digest.update(tensor.flatten()[:4096].float().numpy().tobytes())
        return digest.hexdigest()[:16]

    def encode_passages(self, texts: Sequence[str]) -> Floats:
        vectors = self._model.encode_document(
            list(texts), prompt=self._passage_prompt, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32).reshape(len(texts), self.dimensions)

    def encode_question(self, question: str) -> Floats:
        vector = self._model.encode_query(
            question, prompt=self._question_prompt, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vector, np.float32)


def load_encoder(name: str | None = None) -> Encoder:
    """The encoder that ships for None or its name, else a sentence-transformers model."""
    if name in (None, DEFAULT) or Path(name).resolve() == (MODELS / DEFAULT).resolve():
        return StaticEncoder(MODELS / DEFAULT)
    return SentenceTransformerEncoder(name)


__all__ = ["DEFAULT", "SentenceTransformerEncoder", "StaticEncoder", "bag", "load_encoder"]
