"""Write the trained reader for ONNX Runtime: ``python training/export_reader.py --work WORK --out DIR``.

Several folders after ``--work``, of rounds that began one from another, give the mean of their weights
(Wortsman et al. 2022, "Model soups"). Matrix weights become 8-bit integers (dynamic quantisation); ``--float`` keeps them as they are.
Checks the result against the network it came from.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession
from onnxruntime.quantization import QuantType, quantize_dynamic

from reader_model import N_FEATURES, Reader

NAMES = ["chars", "words", "marks", "side", "features"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--float", action="store_true")
    options = parser.parse_args()
    vocabulary = options.work[0] / "vocab.json"
    if any((work / "vocab.json").read_bytes() != vocabulary.read_bytes() for work in options.work):
        sys.exit("the folders have different vocabularies")
    names = json.loads(vocabulary.read_text("utf-8"))
    model = Reader(len(names["chars"]), len(names["words"]), dropout=0.0)
    states = [torch.load(work / "reader.pt", weights_only=True) for work in options.work]
    model.load_state_dict({k: torch.stack([s["model"][k] for s in states]).mean(0) for k in states[0]["model"]})
    none = torch.stack([s["none"] for s in states]).mean(0)
    with torch.no_grad():
        # Scores above 0 are then likelier than that nothing answers.
        model.start.bias -= none
        model.end.bias -= none
    model.eval()
    n, length = 2, 200
    side = torch.zeros(n, length, dtype=torch.int64)
    side[:, 20:] = 1
    inputs = (
        torch.randint(5, 5000, (n, length)), torch.randint(3, 9000, (n, length)),
        torch.randint(0, 4, (n, length)), side, torch.rand(n, length, N_FEATURES),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    plain = options.out / "model.float.onnx"
    torch.onnx.export(
        model, inputs, str(plain), input_names=NAMES, output_names=["start", "end", "answers"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in [*NAMES, "start", "end"]} | {"answers": {0: "batch"}},
        opset_version=17, dynamo=False,
    )
    target = options.out / "model.onnx"
    if options.float:
        plain.replace(target)
    else:
        quantize_dynamic(str(plain), str(target), weight_type=QuantType.QInt8, per_channel=True,
                         op_types_to_quantize=["MatMul", "Gather"])
        plain.unlink()
    shutil.copyfile(vocabulary, options.out / "vocab.json")
    with torch.no_grad():
        expected = model(*inputs)
    got = InferenceSession(str(target)).run(None, {k: v.numpy() for k, v in zip(NAMES, inputs, strict=True)})
    for name, a, b in zip(("start", "end", "answers"), expected, got, strict=True):
        print(name, "largest difference", float(np.abs(a.numpy() - b)[np.abs(a.numpy()) < 1e3].max()))
    print(target.stat().st_size / 1e6, "MB")


if __name__ == "__main__":
    main()
