"""Parses files of PowerShell, which has no program here that could run them: `syntax.py FILE…`."""
import sys

import tree_sitter_powershell
from tree_sitter import Language, Parser

parser = Parser(Language(tree_sitter_powershell.language()))


def faults(node):
    if node.is_missing or node.type == "ERROR":
        yield node
    for child in node.children:
        yield from faults(child)


# A parser that accepts whatever it gets would show nothing.
assert list(faults(parser.parse(b"if ($a { }").root_node)), "the parser finds no fault"
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        tree = parser.parse(file.read())
    for node in faults(tree.root_node):
        sys.exit(f"{path}:{node.start_point[0] + 1}: {node.type} {node.text[:80]!r}")
    print(f"guides: {path} can be parsed")
