"""The index of docs/guides: it lists every guide, every example is a file that its guide links to and that a check reads, every
link leads somewhere, addresses and scopes are those of the OpenAPI document, and a guide is about a screen long. Run by
scripts/guides.sh."""
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
SCREEN = 60  # lines
DOCUMENT = json.loads((ROOT / "openapi" / "emgate.v1.json").read_text())
SCOPES = set(re.findall(r"\b[a-z]+:[a-z]+\b", json.dumps(DOCUMENT["components"]["securitySchemes"])))
faults = []
pages = {path: path.read_text() for path in sorted(GUIDES.glob("*.md"))}
index = pages[GUIDES / "README.md"]
linked = set()
for page, text in pages.items():
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" in link:
            continue
        target = (page.parent / link).resolve()
        if not target.exists():
            faults.append(f"{page.name} links to {link}, which is not there")
        if page.name != "README.md":
            linked.add(target)
    if page.name != "README.md":
        rows = [row for row in index.splitlines() if row.startswith("| [") and f"]({page.name})" in row]
        if len(rows) != 1 or len(rows[0].split("|")) != 5:
            faults.append(f"{page.name} has no row in README.md that says what it shows and how it is tested")
        if len(text.splitlines()) > SCREEN:
            faults.append(f"{page.name} is longer than {SCREEN} lines")
checks = [*(ROOT / "tests" / "guides").iterdir(), ROOT / "tests" / "it" / "guides.rs", ROOT / "tests" / "it" / "flows.rs"]
read = "".join(check.read_text() for check in checks if check.suffix in (".py", ".mjs", ".rs"))
read += (ROOT / "scripts" / "guides.sh").read_text()


def known(address):
    """Whether the document has an address, whose parameters a page writes as `{id}`, `$ID` or `ep_…`."""
    wanted = re.sub(r"\{\w+\}|\$\w+|ep_…", "PARAMETER", address)
    paths = (re.sub(r"\{\w+\}", "PARAMETER", path) for path in DOCUMENT["paths"])
    return wanted in paths


for page, text in pages.items():
    for address in re.findall(r"/api/v1/[\w/{}$…-]*[\w}…]", text):
        if not known(address):
            faults.append(f"{page.name}: {address} is in no document")
    for scope in re.findall(r"\b(?:plans|operations|sessions|events|webhooks|em|audit|reports|tenants):[a-z]+\b", text):
        if scope not in SCOPES:
            faults.append(f"{page.name}: {scope} is no scope")
examples = [path for path in sorted(GUIDES.rglob("*")) if path.is_file() and path.parent != GUIDES]
for example in examples:
    name = example.relative_to(GUIDES)
    if example not in linked:
        faults.append(f"{name} is linked from no guide")
    # A check names the file, with or without its ending, or all of its folder.
    names = (example.name, f'"{example.stem}"', f'{name.parent}/*{example.suffix}', f'"{name.parent}").glob("*{example.suffix}"')
    if not any(one in read for one in names):
        faults.append(f"{name} is read by no check")
if faults:
    raise SystemExit("\n".join(faults))
print(f"guides: the index lists all {len(pages) - 1} guides, and each of {len(examples)} examples has a guide and a check")
