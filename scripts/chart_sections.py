"""Holds the sections of `config` in the chart's schema against those of the program's configuration reference.

    chart_sections.py helm/emgate src/emgate.default.toml
"""

import json
import re
import sys

chart, reference = sys.argv[1:]
with open(reference) as file:
    # [server], [[upstream.accounts]], and the same behind a comment sign, because they have no default.
    sections = set(re.findall(r"^(?:# )?\[{1,2}([a-z_]+)(?:\.[a-z_.]+)?\]{1,2}$", file.read(), re.MULTILINE))
with open(f"{chart}/values.schema.json") as file:
    allowed = set(json.load(file)["definitions"]["config"]["properties"])
if missing := sections - allowed:
    sys.exit(f"{chart}/values.schema.json does not allow config.{', config.'.join(sorted(missing))}, which {reference} has")
if unknown := allowed - sections:
    sys.exit(f"{chart}/values.schema.json allows config.{', config.'.join(sorted(unknown))}, which {reference} does not have")
