"""Two readers in one file, their scores averaged: ``python training/join_readers.py --one A --other B --out C``.

An ensemble (Hansen and Salamon 1990): networks of different shape, trained on different texts, are wrong
about different questions. A, B and C are folders with ``model.onnx``; both must have the same
``vocab.json``, since both read the same input.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, compose, helper

OUTPUTS = ("start", "end", "answers")


def joined(one: onnx.ModelProto, other: onnx.ModelProto) -> onnx.ModelProto:
    """One model with the inputs of ``one``, whose outputs are means of both models' outputs."""
    inputs = [value.name for value in one.graph.input]
    parts = []
    for prefix, model in (("a_", one), ("b_", other)):
        graph = compose.add_prefix_graph(model.graph, prefix)
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name.removeprefix(prefix) in inputs:
                    node.input[place] = name.removeprefix(prefix)
        parts.append(graph)
    nodes = [node for graph in parts for node in graph.node]
    nodes.append(helper.make_node("Constant", [], ["half"], value=helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])))
    for name in OUTPUTS:
        nodes.append(helper.make_node("Add", [f"a_{name}", f"b_{name}"], [f"sum_{name}"]))
        nodes.append(helper.make_node("Mul", [f"sum_{name}", "half"], [name]))
    graph = helper.make_graph(
        nodes, "readers", list(one.graph.input), list(one.graph.output),
        [value for graph in parts for value in graph.initializer],
    )
    sets = {(each.domain, each.version) for model in (one, other) for each in model.opset_import}
    latest = {domain: max(v for d, v in sets if d == domain) for domain, _ in sets}
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(d, v) for d, v in latest.items()],
        ir_version=max(one.ir_version, other.ir_version),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if (options.one / "vocab.json").read_bytes() != (options.other / "vocab.json").read_bytes():
        sys.exit("the two readers do not share a vocabulary")
    model = joined(*(onnx.load(str(folder / "model.onnx")) for folder in (options.one, options.other)))
    onnx.checker.check_model(model)
    options.out.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(options.out / "model.onnx"))
    shutil.copyfile(options.one / "vocab.json", options.out / "vocab.json")
    print((options.out / "model.onnx").stat().st_size / 1e6, "MB")


if __name__ == "__main__":
    main()
