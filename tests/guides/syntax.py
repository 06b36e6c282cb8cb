"""Parses files of PowerShell, which has no program here that could run them: `syntax.py FILE…`."""
import json
import re
import sys
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Parser

DOCUMENT = json.loads((Path(__file__).resolve().parents[2] / "openapi" / "emgate.v1.json").read_text())
parser = Parser(Language(tree_sitter_powershell.language()))


def faults(node):
    if node.is_missing or node.type == "ERROR":
        yield node
    for child in node.children:
        yield from faults(child)


# A parser that accepts whatever it gets would show nothing.
assert list(faults(parser.parse(b"if ($a { }").root_node)), "the parser finds no fault"
for path in sys.argv[1:]:
    code = Path(path).read_bytes()
    tree = parser.parse(code)
    for node in faults(tree.root_node):
        sys.exit(f"{path}:{node.start_point[0] + 1}: {node.type} {node.text[:80]!r}")
    for address in re.findall(r"/api/v1/[\w/$-]*\w", code.decode()):
        wanted = re.compile(re.sub(r"\$\w+", "[^/]+", address))
        assert any(wanted.fullmatch(known) for known in DOCUMENT["paths"]), f"{path}: {address} is in no document"
    print(f"guides: {path} can be parsed")
