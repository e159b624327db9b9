"""Take a reader's 8-bit weights as a start: ``python training/import_reader.py --work WORK``.

Where it has fewer blocks than the network that is trained, others are put between them (``deepened``). Writes
``WORK/start.pt``, from which ``pretrain.py`` begins in place of vectors of words, and
``train_reader.py`` where nothing was pre-trained. The 8-bit weights become floats again; the head that
guessed masked words is new.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.assistant import READER  # noqa: E402
from askai.encoder import MODELS  # noqa: E402
from reader_model import Reader  # noqa: E402

WOKEN = 0.1
"""What a convolution that is added does at first, as a share of its neighbour's."""


def weights(path: Path) -> dict[str, np.ndarray]:
    """Float weights by the names of ``Reader.state_dict``."""
    graph = onnx.load(str(path)).graph
    raw = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    found = {name: value for name, value in raw.items() if value.dtype == np.float32 and "scale" not in name}

    def whole(stem: str) -> np.ndarray:
        values, scale, zero = (raw[f"{stem}_{part}"] for part in ("quantized", "scale", "zero_point"))
        return (values.astype(np.float32) - zero.astype(np.float32)) * scale

    for name in raw:
        if name.endswith("_quantized"):
            stem = name.removesuffix("_quantized")
            if stem.endswith("_Transposed"):
                found[stem.removesuffix("_Transposed")] = whole(stem).T
            elif not stem.startswith("onnx::"):
                found[stem] = whole(stem)
    # Linear layers lose their names in the export; their node is named after the module.
    for node in graph.node:
        for value in node.input:
            if value.startswith("onnx::MatMul") and value.endswith("_quantized"):
                module = node.name.removesuffix("/MatMul_quant").strip("/").replace("/", ".")
                found[f"{module}.weight"] = whole(value.removesuffix("_quantized")).T
    return found


def deepened(state: dict[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """The weights of a network of as many blocks that computes nearly the same; as they are where it has no more.

    A block that is added is its neighbour over again but for what it adds to the sequence
    (progressive stacking, Gong et al. 2019): nought (as in Net2Net, Chen et al. 2016) from attention
    and feed-forward, and from the convolution ``WOKEN`` of what the neighbour's adds: after it comes a
    ReLU, through which nought never learns.
    """
    had = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    if blocks <= had:
        return state
    found = {}
    for name, value in state.items():
        if not name.startswith("blocks."):
            found[name] = value
            continue
        _, place, own = name.split(".", 2)
        first, *added = (number for number in range(blocks) if number * had // blocks == int(place))
        share = WOKEN if own.startswith("convolution.conv.") else 0.0 if own.startswith(("out.", "down.")) else 1.0
        found[f"blocks.{first}.{own}"] = value
        found |= {f"blocks.{number}.{own}": value * share for number in added}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=MODELS / READER / "model.onnx", help="default: the one that ships")
    options = parser.parse_args()
    torch.manual_seed(6)
    names = json.loads((options.work / "vocab.json").read_text("utf-8"))
    model = Reader(len(names["chars"]), len(names["words"]))
    state = {k: torch.from_numpy(v.copy()) for k, v in weights(options.model).items()}
    state = deepened(state, len(model.blocks))
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("mlm") for name in missing):
        sys.exit(f"not the reader's weights: {missing} missing, {unexpected} unexpected")
    # What says that nothing answers went into the other weights when the reader was exported.
    torch.save({"model": model.state_dict(), "none": torch.zeros(1)}, options.work / "start.pt")


if __name__ == "__main__":
    main()
