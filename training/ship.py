"""Describe a trained network in `src/relume/builtin/models/models.json`, so that Relume uses it.

    python -m training.ship upscale2 --purpose "Enlarges twice" --scale 2 --reach 14

The file `NAME.onnx` lies there already. Its inputs are read from it; its entry replaces an older one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import onnx

from relume.builtin.cards import SHIPPED, TABLE, NetCard, NetTable

LICENCE = "Apache-2.0"


def describe(folder: Path, card: NetCard) -> None:
    """Write or replace the card's entry; entries are sorted by name."""
    cards = NetTable(folder).cards | {card.name: card}
    entries = [asdict(cards[name]) for name in sorted(cards)]
    (folder / TABLE).write_text(json.dumps({"models": entries}, indent=2) + "\n", encoding="utf-8")


def read(folder: Path, options: argparse.Namespace) -> NetCard:
    file = f"{options.name}.onnx"
    content = (folder / file).read_bytes()
    return NetCard(
        name=options.name,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        version=options.version,
        licence=LICENCE,
        purpose=options.purpose,
        inputs=tuple(value.name for value in onnx.load_from_string(content).graph.input),
        reach=options.reach,
        scale=options.scale,
        multiple_of=options.multiple_of,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("--purpose", required=True, help="what it does, for `relume models list`")
    parser.add_argument("--version", default="1")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--reach", type=int, default=0, help="radius of the receptive field in input pixels")
    parser.add_argument("--multiple-of", type=int, default=1, help="what its sides have to be multiples of")
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    options = parser.parse_args()
    card = read(options.folder, options)
    describe(options.folder, card)
    print(
        f"{card.name} {card.version}: {card.bytes} bytes, SHA-256 {card.sha256}, inputs {', '.join(card.inputs)}"
    )


if __name__ == "__main__":
    main()
