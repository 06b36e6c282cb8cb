"""What was printed: every machine's name is there, and each page has its number.

   printed.py FOLDER
"""

import json
import re
import sys
import unicodedata
from pathlib import Path

from pypdf import PdfReader

import verify

for page in sorted(Path(sys.argv[1]).glob("*.html")):
    text = page.read_text(encoding="utf-8")
    if verify.BEGIN not in text:
        # The programme, whose plans are counted.
        plans = text.count("<tr><td>")
        pages = [sheet.extract_text() for sheet in PdfReader(page.with_name(f"{page.stem}-A4.pdf")).pages]
        for number, sheet in enumerate(pages, 1):
            assert re.search(rf"Page\s*{number}\s*of\s*{len(pages)}", sheet), (page.name, number)
        print(f"reports: {page.name} on A4: {len(pages)} pages, {plans} plans")
        continue
    report = json.loads(text.split(verify.BEGIN, 1)[1].split(verify.END, 1)[0])
    for size in ("A4", "Letter"):
        pages = [sheet.extract_text() for sheet in PdfReader(page.with_name(f"{page.stem}-{size}.pdf")).pages]
        # Ligatures are letters that were joined for the eye.
        plain_pages = [unicodedata.normalize("NFKC", re.sub(r"\s+", "", sheet)) for sheet in pages]
        whole = "".join(plain_pages)
        for machine in report["machines"]:
            # Lines break where they like, writing from right to left comes out in another order, and what is longer than 200
            # letters may go on on the next page, from its first line on.
            name = re.sub(r"\s+", "", machine["name"])
            name = name if len(name) <= 200 else name[:20]
            if all(ord(letter) < 0x590 for letter in name):
                assert unicodedata.normalize("NFKC", name) in whole, (page.name, size, machine["name"][:80])
            # A row is on one page: its name and what stands beside it.
            plain = name.isascii() and len(name) <= 60 and machine["message"] is None and machine["order"] is not None
            row = f"{name}{machine['order']}"
            if plain:
                assert any(row in sheet for sheet in plain_pages), (page.name, size, row)
        for number, sheet in enumerate(pages, 1):
            assert re.search(rf"Page\s*{number}\s*of\s*{len(pages)}", sheet), (page.name, size, number)
        print(f"reports: {page.name} on {size}: {len(pages)} pages, {len(report['machines'])} machines")
