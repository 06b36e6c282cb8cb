"""Slack's messages against Slack's rules for blocks, as slack-sdk has them.

    python tests/chat/slack.py FOLDER

FOLDER holds what `EMGATE_WRITE_MESSAGES` made. A block has to be one that the library knows, pass its validators, and come
back from it as it went in: a member that it does not know would be lost on the way. The library has no validators for the
parts of rich text; their rules are here, from Slack's reference of blocks.
"""

import json
import pathlib
import sys

from slack_sdk.models.blocks import Block

BLOCKS = 50
TEXT = 40_000
# Over all blocks, where Slack begins to answer msg_blocks_too_long (slackapi/bolt-js issue 2509).
ALL_BLOCKS = 13_200
HEADER = 150
URL = 3_000
LISTS = {"bullet", "ordered"}
STYLES = {"bold", "italic", "strike", "code"}


def units(text):
    return len(text.encode("utf-16-le")) // 2


def inline(element):
    kind = element["type"]
    if kind == "text":
        assert element["text"], "an empty text"
    elif kind == "link":
        assert element["url"].startswith("https://") and units(element["url"]) <= URL, element["url"]
        assert element.get("text"), "a link without a text"
    else:
        raise AssertionError(f"{kind} in a message that holds text and links alone")
    assert set(element) <= {"type", "text", "url", "style"}, element
    for style, value in element.get("style", {}).items():
        assert style in STYLES and value is True, element


def part(element):
    kind = element["type"]
    assert element["elements"], f"an empty {kind}"
    if kind == "rich_text_list":
        assert element["style"] in LISTS, element
        for item in element["elements"]:
            assert item["type"] == "rich_text_section", item
            part(item)
    else:
        assert kind in {"rich_text_section", "rich_text_quote"}, kind
        for one in element["elements"]:
            inline(one)


def check(message):
    assert 0 < units(message["text"]) <= TEXT, "no text for notifications"
    blocks = message["blocks"]
    assert 0 < len(blocks) <= BLOCKS, f"{len(blocks)} blocks"
    assert units(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) <= ALL_BLOCKS
    for block in blocks:
        parsed = Block.parse(json.loads(json.dumps(block)))
        assert parsed is not None and parsed.type == block["type"], f"no such block: {block['type']}"
        back = json.loads(json.dumps(parsed.to_dict()))
        assert back == block, f"{block}\ncomes back as\n{back}"
        if block["type"] == "header":
            text = block["text"]
            assert text["type"] == "plain_text" and 0 < units(text["text"]) <= HEADER, text
        elif block["type"] == "rich_text":
            assert block["elements"], "an empty rich_text"
            for element in block["elements"]:
                part(element)


def main(folder):
    files = sorted(pathlib.Path(folder).glob("slack_*.json"))
    assert len(files) > 30, f"{len(files)} messages in {folder}"
    for file in files:
        try:
            check(json.loads(file.read_text()))
        except Exception as fault:
            sys.exit(f"{file.name}: {type(fault).__name__}: {fault}")
    # A checker that finds nothing wrong with anything is none.
    broken = json.loads(files[0].read_text())
    broken["blocks"][0]["text"]["text"] = "x" * 151
    try:
        check(broken)
    except Exception:
        print(f"slack: {len(files)} messages are right, and one with a header of 151 characters is not")
    else:
        sys.exit("a header of 151 characters passed")


main(sys.argv[1])
