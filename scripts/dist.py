"""What `make dist` writes beside the programs: the list of parts (CycloneDX 1.6) and the statement of how they were built (SLSA
provenance v1 as in-toto has it), and the checks of a finished folder.

    dist.py sbom BASE OUT                     BASE is what cargo-cyclonedx wrote
    dist.py provenance FOLDER OUT             about every file of the folder
    dist.py crates BINARY                     what cargo-auditable wrote into it
    dist.py check FOLDER PUBLIC_KEY [BINARY]  needs cyclonedx-python-lib and minisign

FEATURES, TARGET and SOURCE_DATE_EPOCH come from the environment.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
import zlib

root = pathlib.Path(__file__).resolve().parent.parent
features = os.environ.get("FEATURES", "postgres,manual,jemalloc")
target = os.environ.get("TARGET", "x86_64-unknown-linux-gnu")
moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)


def told(*command):
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def crates_of_tree():
    """Name and version of every crate that the program is built of, by cargo's own resolver; crates of tests are not."""
    tree = ["cargo", "tree", "--locked", "--no-default-features", "--features", features, "--target", target]
    lines = told(*tree, "--edges", "normal,build", "--prefix", "none", "--format", "{p}").splitlines()
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines if line}


def crates_of_metadata():
    """The same by cargo's metadata, which cargo-auditable reads: it also counts optional crates that nothing asks for."""
    flags = ["--locked", "--format-version", "1", "--no-default-features", "--features", features]
    found = json.loads(told("cargo", "metadata", *flags, "--filter-platform", target))
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    waiting, reached = [found["resolve"]["root"]], set()
    while waiting:
        id = waiting.pop()
        if id not in reached:
            reached.add(id)
            built = [dep for dep in nodes[id]["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
            waiting += [dep["pkg"] for dep in built]
    return {(package["name"], package["version"]) for package in found["packages"] if package["id"] in reached}


def crates_of_binary(binary):
    """What the program itself says: a section with compressed JSON."""
    with tempfile.NamedTemporaryFile() as section:
        subprocess.run(
            ["objcopy", "--dump-section", f".dep-v0={section.name}", str(binary), "/dev/null"], check=True, capture_output=True
        )
        packages = json.loads(zlib.decompress(pathlib.Path(section.name).read_bytes()))["packages"]
    return {(package["name"], package["version"]) for package in packages}


def vendored():
    """The libraries of the console and of the documentation page: package, version, licence text, files."""
    heading = re.compile(r"^(.+): (\S+) (\d[\w.]*)$", re.MULTILINE)
    for licences in sorted(root.glob("web/*/vendor/LICENSES")):
        text = licences.read_text()
        headings = list(heading.finditer(text))
        ends = [*(found.start() for found in headings[1:]), len(text)]
        for found, end in zip(headings, ends):
            files = [licences.parent / name for name in re.split(r" and |, ", found[1])]
            yield found[2], found[3], text[found.end() : end].strip(), files


def component_of_vendored(package, version, licence, files):
    scope, _, name = package.rpartition("/")
    spdx = "Apache-2.0" if "Apache License" in licence else "MIT"
    purl = f"pkg:npm/{package.replace('@', '%40')}@{version}"
    part = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{"license": {"id": spdx, "text": {"contentType": "text/plain", "content": licence}}}],
        "purl": purl,
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{path.relative_to(root)}",
                "name": str(path.relative_to(root)),
                "hashes": [{"alg": "SHA-256", "content": sha256(path)}],
            }
            for path in files
        ],
    }
    return {"group": scope, **part} if scope else part


def sbom(base, out):
    bom = json.loads(pathlib.Path(base).read_text())
    wanted = crates_of_tree()
    program = bom["metadata"]["component"]
    # References are names of packages instead of folders of this machine.
    refs = {}
    for part in [program, *bom["components"]]:
        purl = f"pkg:cargo/{part['name']}@{part['version']}"
        refs[part["bom-ref"]] = purl
        part["bom-ref"] = part["purl"] = purl
    program.pop("components", None)
    program["type"] = "application"
    kept = [part for part in bom["components"] if (part["name"], part["version"]) in wanted]
    named = {(part["name"], part["version"]) for part in [program, *kept]}
    if named != wanted:
        sys.exit(f"dist: cargo-cyclonedx does not name {sorted(wanted - named)}")
    known = {part["bom-ref"] for part in [program, *kept]}
    dependencies = []
    for entry in bom["dependencies"]:
        ref = refs.get(entry["ref"])
        if ref in known:
            on = sorted({refs[other] for other in entry.get("dependsOn", []) if refs.get(other) in known})
            dependencies.append({"ref": ref, "dependsOn": on})
    for package in vendored():
        part = component_of_vendored(*package)
        kept.append(part)
        dependencies.append({"ref": part["bom-ref"], "dependsOn": []})
        next(entry for entry in dependencies if entry["ref"] == program["bom-ref"])["dependsOn"].append(part["bom-ref"])
    tools = [{"type": "application", "name": tool["name"], "version": tool["version"]} for tool in bom["metadata"]["tools"]]
    done = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": tools},
            "component": program,
            "properties": bom["metadata"].get("properties", []),
        },
        "components": kept,
        "dependencies": dependencies,
    }
    digest = hashlib.sha256(json.dumps(done, sort_keys=True).encode()).digest()
    done["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
    pathlib.Path(out).write_text(json.dumps(done, indent=1) + "\n")


def files_of(folder, *without):
    return [path for path in sorted(pathlib.Path(folder).iterdir()) if path.name not in without]


def provenance(folder, out):
    commit = told("git", "rev-parse", "HEAD").strip()
    repository = os.environ.get("REPOSITORY", "https://git.example/emgate")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": path.name, "digest": {"sha256": sha256(path)}} for path in files_of(folder)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{repository}/make-dist/v1",
                "externalParameters": {
                    "repository": repository,
                    "commit": commit,
                    "profile": os.environ.get("PROFILE", "release"),
                    "features": features.split(","),
                    "target": target,
                },
                "internalParameters": {
                    "rustc": told("rustc", "--version").strip(),
                    "sourceDateEpoch": int(moment.timestamp()),
                    "treeIsClean": not told("git", "status", "--porcelain").strip(),
                },
                "resolvedDependencies": [
                    {"uri": f"git+{repository}", "digest": {"gitCommit": commit}},
                    {"name": "Cargo.lock", "digest": {"sha256": sha256(root / "Cargo.lock")}},
                ],
            },
            "runDetails": {"builder": {"id": os.environ.get("BUILDER_ID", f"{repository}/builders/by-hand")}},
        },
    }
    pathlib.Path(out).write_text(json.dumps(statement) + "\n")


def flipped(content, at):
    """The content with one bit changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def verifies(folder, key):
    """What a stranger does: the signature of the sums, then the sums."""
    sign = subprocess.run(["minisign", "-Vqm", "SHA256SUMS", "-p", str(key)], cwd=folder, capture_output=True)
    sums = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    return sign.returncode == 0, sums.returncode == 0


def check(folder, key, binary=None):
    folder, key = pathlib.Path(folder), pathlib.Path(key).resolve()
    assert verifies(folder, key) == (True, True), "the folder as it is does not verify"
    listed = {line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {path.name for path in files_of(folder, "SHA256SUMS", "SHA256SUMS.minisig", "minisign.pub")}
    assert listed == there, f"SHA256SUMS lists {listed ^ there} wrongly"
    with tempfile.TemporaryDirectory() as work:
        for name in sorted([*there, "SHA256SUMS", "SHA256SUMS.minisig"]):
            content = (folder / name).read_bytes()
            # The first line of a signature is a comment that nobody vouches for.
            begin = content.index(b"\n") + 1 if name.endswith(".minisig") else 0
            for at in {begin, begin + 20, (begin + len(content)) // 2}:
                copy = pathlib.Path(work) / "dist"
                shutil.copytree(folder, copy)
                (copy / name).write_bytes(flipped(content, at))
                signed, summed = verifies(copy, key)
                is_signed = name.startswith("SHA256SUMS")
                assert not (signed if is_signed else summed), f"a flipped byte of {name} goes unnoticed"
                shutil.rmtree(copy)

    (path,) = folder.glob("*.cdx.json")
    text = path.read_text()
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert fault is None, f"the SBOM is not valid: {fault}"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"library"', '"bibliothèque"', 1)) is not None
    bom = json.loads(text)
    parts = [bom["metadata"]["component"], *bom["components"]]
    crates = {(part["name"], part["version"]) for part in parts if part["purl"].startswith("pkg:cargo/")}
    tree = crates_of_tree()
    assert crates == tree, f"SBOM and cargo tree differ in {sorted(crates ^ tree)}"
    assert all(part.get("licenses") for part in parts), "a part without a licence"
    refs = {part["bom-ref"] for part in parts}
    graph = bom["dependencies"]
    assert len(refs) == len(parts) and {entry["ref"] for entry in graph} <= refs
    assert all(set(entry["dependsOn"]) <= refs for entry in graph)
    files = [path for path in root.glob("web/*/vendor/*") if path.name not in ("LICENSES", "SHA256SUMS")]
    in_bom = {inner["name"]: inner["hashes"][0]["content"] for part in parts for inner in part.get("components", [])}
    assert in_bom == {str(path.relative_to(root)): sha256(path) for path in files}, "vendored files"
    for part in parts:
        if part["purl"].startswith("pkg:npm/"):
            licence = part["licenses"][0]["license"]["text"]["content"]
            assert len(licence) > 900 and "Copyright" in licence.replace("copyright", "Copyright"), part["name"]

    (path,) = folder.glob("*.intoto.jsonl")
    statement = json.loads(path.read_text())
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert subjects == {name: sha256(folder / name) for name in there - {path.name}}, "subjects of the provenance"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    definition = statement["predicate"]["buildDefinition"]
    assert re.fullmatch(r"[0-9a-f]{40}", definition["resolvedDependencies"][0]["digest"]["gitCommit"])
    for text in (text, path.read_text()):
        assert str(root) not in text and str(pathlib.Path.home()) not in text, "a path of this machine is told"

    if binary:
        built = crates_of_binary(binary)
        assert tree <= built, f"the program does not name {sorted(tree - built)}"
        assert built == crates_of_metadata(), f"the program names {sorted(built - tree)} beside its crates"
    print(f"dist: {len(there)} files verify; {len(crates)} crates and {len(in_bom)} vendored files are in the SBOM"
          + (f"; the program names them all, and {len(built - tree)} that nothing of it asks for" if binary else ""))


commands = {
    "sbom": sbom,
    "provenance": provenance,
    "check": check,
    "crates": lambda binary: print(*(" ".join(crate) for crate in sorted(crates_of_binary(binary))), sep="\n"),
}
commands[sys.argv[1]](*sys.argv[2:])
