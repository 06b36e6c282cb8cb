#!/usr/bin/env bash
# The messages of all chat formats, judged by the services' own libraries: Slack's blocks, Adaptive Cards for Teams.
#
#   scripts/chat.sh check       the samples and extremes of src/webhooks/formats/samples.rs
#   scripts/chat.sh pictures    the same, and the pictures that docs/formats.md shows, drawn anew
set -euo pipefail
cd "$(dirname "$0")/.."
command=${1:?check or pictures}

scripts/tools.sh chat
messages=$PWD/.tools/chat-messages
rm -rf "$messages"
mkdir -p "$messages"
EMGATE_WRITE_MESSAGES="$messages" cargo test --locked --quiet --lib formats::samples
.tools/chat-python/bin/python tests/chat/slack.py "$messages"
node tests/chat/cards.mjs "$messages"

if [ "$command" = pictures ]; then
    scripts/tools.sh pictures
    node tests/chat/pictures.mjs "$messages" "$PWD/.tools/chat-pictures"
    mkdir -p docs/pictures
    for name in $(sed -n 's/.*(pictures\/\([a-z-]*\)\.png).*/\1/p' docs/formats.md | sort -u); do
        cp ".tools/chat-pictures/$name.png" "docs/pictures/$name.png"
    done
fi
