"""Two readers in one file, which gives the mean of their scores:
``python training/join_readers.py A/model.onnx B/model.onnx --out DIR/model.onnx``.

Two networks trained apart err apart (Lakshminarayanan et al. 2017). It costs the time and the weights of both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
from onnx import compose, helper

OUTPUTS = ("start", "end", "answers")


def joined(paths: list[Path]) -> onnx.ModelProto:
    """A model with the inputs and outputs of each of them."""
    models = [onnx.load(str(path)) for path in paths]
    parts = [
        compose.add_prefix_graph(model.graph, f"{number}/", rename_inputs=False) for number, model in enumerate(models)
    ]
    nodes = [node for part in parts for node in part.node]
    for name in OUTPUTS:
        nodes.append(helper.make_node("Mean", [f"{n}/{name}" for n in range(len(parts))], [name]))
    graph = helper.make_graph(
        nodes, "reader", models[0].graph.input, models[0].graph.output,
        [tensor for part in parts for tensor in part.initializer],
    )
    return helper.make_model(graph, opset_imports=models[0].opset_import, ir_version=models[0].ir_version)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", type=Path, nargs="+", help="model.onnx of each, of the same vocabulary")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = joined(options.readers)
    onnx.checker.check_model(model)
    onnx.save(model, str(options.out))
    print(options.out.stat().st_size / 1e6, "MB")


if __name__ == "__main__":
    main()
