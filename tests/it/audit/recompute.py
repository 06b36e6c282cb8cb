"""Recomputes every row of an export of the audit log with the standard library alone.

Reads JSON lines on stdin; prints how many rows hold, or names the first that does not and ends with 1.
"""

import hashlib
import json
import sys


def canonical(value):
    """RFC 8785 for what rows hold: objects with ASCII names, text, whole numbers, true, false, null."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def fail(number, why):
    print(f"line {number}: {why}")
    sys.exit(1)


previous, sequence = "0" * 64, 0
for number, line in enumerate(sys.stdin.buffer, 1):
    row = json.loads(line)
    if "anchor" in row:
        previous, sequence = row["anchor"]["hash"], row["anchor"]["sequence"]
        continue
    if canonical(row) != line.rstrip(b"\n"):
        fail(number, "the line is not the canonical form")
    claimed = row.pop("hash")
    if hashlib.sha256(canonical(row)).hexdigest() != claimed:
        fail(number, "the hash is not that of the content")
    if row["previousHash"] != previous or row["sequence"] != sequence + 1:
        fail(number, "the row does not continue the chain")
    previous, sequence = claimed, row["sequence"]
print(sequence)
