"""Verifies recovery reports by the published rules alone: RFC 8785, SHA-256 and Ed25519 by other people's libraries.

   python verify.py REPORT-KEYS.json FILE...

FILE is a report as JSON or as a page. Ends with 1 when one of them is not what was signed, and names the part.
"""

import base64
import hashlib
import json
import sys

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BEGIN, END = '<script type="application/json" id="report">', "</script>"


def fault(content: bytes, keys: dict[str, bytes]) -> str | None:
    """The part that is wrong; none when the file is what was signed."""
    try:
        text = content.decode()
        data = text.split(BEGIN, 1)[1].split(END, 1)[0] if BEGIN in text else text
        report = json.loads(data)
        compact = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
        if data != (compact.replace("<", "\\u003c") if BEGIN in text else compact):
            return "form"
        integrity = report["integrity"]
        digest, written = integrity.pop("digest"), integrity.pop("signature")
        signature = base64.b64decode(written, validate=True)
        # Bits of the last letter that stand for nothing (RFC 4648, section 3.5).
        if base64.b64encode(signature).decode() != written:
            return "signature"
        found = hashlib.sha256(rfc8785.dumps(report)).digest()
        if digest != "sha-256:" + found.hex():
            return "digest"
        for row in report["provenance"]["audit"]:
            claimed = row.pop("hash")
            if claimed != hashlib.sha256(rfc8785.dumps(row)).hexdigest():
                return "audit"
        Ed25519PublicKey.from_public_bytes(keys[integrity["keyId"]]).verify(signature, found)
    except InvalidSignature:
        return "signature"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, rfc8785.CanonicalizationError):
        return "not a report"
    return None


def read_keys(path: str) -> dict[str, bytes]:
    with open(path, encoding="utf-8") as file:
        return {key["keyId"]: base64.b64decode(key["publicKey"]) for key in json.load(file)["keys"]}


if __name__ == "__main__":
    known, wrong = read_keys(sys.argv[1]), 0
    for name in sys.argv[2:]:
        with open(name, "rb") as file:
            found = fault(file.read(), known)
        print(f"{name}: {found or 'verified'}")
        wrong += found is not None
    sys.exit(1 if wrong else 0)
