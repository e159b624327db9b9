"""Average two readers, weight by weight: ``python training/average_readers.py --one WORK --other OTHER --out NEW``.

For a reader and the one it was trained on from: their mean did better than either on questions that
neither had seen (Wortsman et al. 2022, "Model soups"; "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.5, help="of the other")
    options = parser.parse_args()
    one, other = (torch.load(p / "reader.pt", weights_only=True)["model"] for p in (options.one, options.other))
    options.out.mkdir(parents=True, exist_ok=True)
    torch.save({"model": {k: torch.lerp(v, other[k], options.share) for k, v in one.items()}}, options.out / "reader.pt")
    shutil.copyfile(options.one / "vocab.json", options.out / "vocab.json")


if __name__ == "__main__":
    main()
