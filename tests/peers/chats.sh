#!/bin/sh
# Many chats at once with a served home: names that are not on the list, time to the first token and to
# the list, who waits longest, memory of the service.
#
#   tests/peers/chats.sh [HOME [REPLIES [STREAMS]]]     HOME: build/demo, as ./run demo leaves it
set -eu
cd "$(dirname "$0")/../.."
. tests/peers/served.sh
home=${1:-build/demo}
a_home "$home"
serve "$home"
zstdcat data/sample/items.jsonl.zst >$tools/items.jsonl
zstdcat data/sample/conversations.jsonl.zst >$tools/conversations.jsonl
$tools/venv/bin/python tests/peers/chats.py "$url" $tools "${2:-1000}" "${3:-16}" $server
