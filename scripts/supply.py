"""Holds the dependencies against deny.toml: licenses, bans, sources. Needs nothing but cargo and Python 3.11.

The same rules that `cargo deny check bans licenses sources` applies; that program takes minutes to install.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

root = pathlib.Path(__file__).resolve().parent.parent
rules = tomllib.loads((root / "deny.toml").read_text())
metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout
)
allowed = set(rules["licenses"]["allow"])
banned = {ban["crate"]: ban["reason"] for ban in rules["bans"]["deny"]}
sources = {"registry+" + url for url in rules["sources"]["allow-registry"]}
packages = {package["id"]: package for package in metadata["packages"]}


def permitted(expression):
    """An SPDX expression as a question: is there a choice that the list allows?"""
    tokens = re.findall(r"\(|\)|[\w.+-]+", expression.replace("/", " OR "))

    def alternatives(at):
        result, at = together(at)
        while at < len(tokens) and tokens[at] == "OR":
            other, at = together(at + 1)
            result = result or other
        return result, at

    def together(at):
        result, at = single(at)
        while at < len(tokens) and tokens[at] == "AND":
            other, at = single(at + 1)
            result = result and other
        return result, at

    def single(at):
        if tokens[at] == "(":
            result, at = alternatives(at + 1)
            return result, at + 1
        name, at = tokens[at], at + 1
        if at < len(tokens) and tokens[at] == "WITH":
            at += 2  # an exception only permits more
        return name in allowed, at

    result, end = alternatives(0)
    assert end == len(tokens), f"cannot read the license expression {expression!r}"
    return result


assert permitted("MIT OR GPL-3.0") and not permitted("MIT AND GPL-3.0") and permitted("(GPL-2.0 OR MIT) AND Zlib")

faults = []
for package in packages.values():
    name = f"{package['name']} {package['version']}"
    if package["source"] is None:
        continue
    if package["source"] not in sources:
        faults.append(f"{name} comes from {package['source']}")
    if not package["license"]:
        faults.append(f"{name} names no license")
    elif not permitted(package["license"]):
        faults.append(f"{name} is under {package['license']}, which deny.toml does not allow")
# Bans hold for what is built on any platform; the lock file also names what optional features would bring.
tree = ["cargo", "tree", "--locked", "--all-features", "--target", "all", "--edges", "all", "--prefix", "none"]
built = subprocess.run([*tree, "--format", "{p}"], cwd=root, check=True, capture_output=True, text=True).stdout
for name in sorted({line.split()[0] for line in built.splitlines() if line} & set(banned)):
    faults.append(f"{name} is banned ({banned[name]}); `cargo tree --target all -i {name}` shows who brings it")
for package in metadata["packages"]:
    if package["source"] is None:
        wild = [d["name"] for d in package["dependencies"] if d["req"] == "*"]
        faults += [f"{package['name']} takes any version of {name}" for name in wild]

for fault in faults:
    print("supply:", fault, file=sys.stderr)
if faults:
    sys.exit(1)
print(f"supply: {len(packages)} packages: licenses, bans and sources are in order")
