"""Random documents, and their canonical form (RFC 8785) by another library, for tests/it/evidence/files.rs to compare.

   canonical.py FOLDER COUNT
"""

import json
import math
import random
import struct
import sys
from pathlib import Path

import rfc8785

LETTERS = 'aZ09 "\\/\b\f\n\r\t\x00\x1f\x7f\x80äöü€ßא\u202e\u2028\ufb33日本語😀🏴\U0010ffff'
EXACT = 2**53 - 1


def text(dice: random.Random) -> str:
    return "".join(dice.choice(LETTERS) for _ in range(dice.randrange(12)))


def number(dice: random.Random) -> int | float:
    kind = dice.randrange(6)
    if kind == 0:
        return dice.randint(-EXACT, EXACT)
    if kind == 1:
        return dice.randint(-100, 100)
    if kind == 2:
        return dice.randint(-(10**9), 10**9) / 1000
    if kind == 3:
        return dice.uniform(-1e6, 1e6)
    if kind == 4:
        return float(f"{dice.randint(1, 10**17)}e{dice.randint(-330, 290)}")
    # Any bits that are a number.
    while True:
        found = struct.unpack("<d", dice.randbytes(8))[0]
        if math.isfinite(found):
            return found


def value(dice: random.Random, depth: int) -> object:
    kind = dice.randrange(8 if depth else 5)
    if kind == 0:
        return dice.choice([None, True, False])
    if kind in (1, 2):
        return number(dice)
    if kind in (3, 4):
        return text(dice)
    if kind == 5:
        return [value(dice, depth - 1) for _ in range(dice.randrange(6))]
    return {text(dice): value(dice, depth - 1) for _ in range(dice.randrange(8))}


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(20260506)
    documents, expected = [], []
    while len(documents) < count:
        document = value(dice, 4)
        documents.append(json.dumps(document, ensure_ascii=dice.random() < 0.5))
        expected.append(rfc8785.dumps(document).decode())
    # Line ends that Python knows beside \n are within texts alone, where JSON escapes \n.
    folder.joinpath("documents.jsonl").write_text("\n".join(documents) + "\n", encoding="utf-8", newline="\n")
    folder.joinpath("expected.jsonl").write_text("\n".join(expected) + "\n", encoding="utf-8", newline="\n")


main()
