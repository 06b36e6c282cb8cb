"""Writes the table of values in the chart's README.md from the keys of values.yaml and the comments above them.

    chart_readme.py helm/emgate [--check]

With --check nothing is written, and a stale table is a failure.
"""

import re
import sys

import yaml

BEGIN, END = "<!-- values: written by scripts/chart_readme.py -->\n", "<!-- end of values -->\n"
KEY = re.compile(r"^( *)([A-Za-z_]+):(.*)$")


def rows(text):
    """(path, default, description) of each key that has a comment or a default."""
    values, path, comment, found = yaml.safe_load(text), [], [], []
    for line in text.splitlines():
        key = KEY.match(line)
        if line.strip() == "":
            comment = []
        elif line.lstrip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
        elif key:
            depth = len(key[1]) // 2
            path = path[:depth] + [key[2]]
            node = values
            for step in path:
                node = node[step]
            shown = "" if isinstance(node, dict) and node else yaml.safe_dump(node, default_flow_style=True).split("\n")[0]
            # A comment right below a key with an empty default is its example, not the next key's description.
            if shown or comment:
                found.append((".".join(path), shown, " ".join(comment)))
            comment = []
        else:
            comment = []
    return found


def without_examples(text):
    """Examples are indented below their key; descriptions stand at the indentation of the key that follows."""
    lines, kept = text.splitlines(), []
    for number, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            following = next((other for other in lines[number + 1 :] if not other.lstrip().startswith("#")), "")
            if not following.strip() or len(line) - len(line.lstrip()) != len(following) - len(following.lstrip()):
                continue
        kept.append(line)
    return "\n".join(kept)


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def undescribed(found):
    """Values that have no description, neither their own nor that of a value above them."""
    described = {path for path, _, meaning in found if meaning}
    for path, _, _ in found:
        steps = path.split(".")
        if not any(".".join(steps[:length]) in described for length in range(1, len(steps) + 1)):
            yield path


chart, check = sys.argv[1], "--check" in sys.argv
with open(f"{chart}/values.yaml") as file:
    found = rows(without_examples(file.read()))
if missing := list(undescribed(found)):
    sys.exit(f"{chart}/values.yaml has no comment above {', '.join(missing)}")
table = ["| value | default | meaning |\n", "| --- | --- | --- |\n"]
for path, shown, meaning in found:
    default = f"`{cell(shown)}`" if shown else ""
    table.append(f"| `{path}` | {default} | {cell(meaning)} |\n")
with open(f"{chart}/README.md") as file:
    readme = file.read()
before, rest = readme.split(BEGIN)
after = rest.split(END)[1]
fresh = before + BEGIN + "\n" + "".join(table) + "\n" + END + after
if check and fresh != readme:
    sys.exit(f"the table of values in {chart}/README.md is stale: run scripts/chart_readme.py {chart}")
if not check:
    with open(f"{chart}/README.md", "w") as file:
        file.write(fresh)
