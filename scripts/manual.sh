#!/usr/bin/env bash
# Has the manual pages read by man and mandoc, and the completions by the shells that they are for.
#
#   scripts/manual.sh [BINARY]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh manual

fail() {
    printf 'manual: %s\n' "$*" >&2
    exit 1
}
binary=$(realpath "${1:-target/debug/emgate}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$binary" man --date 1767225600 "$work"
for page in "$work"/*.1; do
    LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings --encoding=utf8 --local-file "$page" >"$work/read" 2>"$work/said" || fail "man cannot read $page"
    [ ! -s "$work/said" ] || { cat "$work/said" >&2; fail "man complains about $(basename "$page")"; }
    for part in NAME SYNOPSIS DESCRIPTION; do
        grep -q "^$part" "$work/read" || fail "$(basename "$page") has no $part"
    done
    mandoc -Tlint -Wwarning "$page" >"$work/said" || { cat "$work/said" >&2; fail "mandoc complains about $(basename "$page")"; }
done
printf 'manual: %s pages are read without a complaint\n' "$(find "$work" -name '*.1' | wc -l)"

PATH=$(dirname "$binary"):$PATH
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$work/_emgate"
    "$shell" -n "$work/_emgate" || fail "$shell cannot parse its completions"
done
# What the shells offer for the beginning of a command.
offered_by_bash=$(bash -c 'source <("$0" completions bash); COMP_WORDS=(emgate pl); COMP_CWORD=1; _emgate emgate pl emgate; printf "%s\n" "${COMPREPLY[@]}"' "$binary")
[ "$offered_by_bash" = plan ] || fail "bash offers '$offered_by_bash' for pl"
offered_by_fish=$(XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work fish -c '"$argv[1]" completions fish | source; complete --do-complete "emgate pl"' "$binary" | cut -f 1)
[ "$offered_by_fish" = plan ] || fail "fish offers '$offered_by_fish' for pl"
printf 'manual: bash, zsh and fish parse their completions\n'
