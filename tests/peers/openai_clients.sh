#!/bin/sh
# The official openai clients of Python and JavaScript, unmodified, against a served home (needs pip and npm).
#
#   tests/peers/openai_clients.sh [HOME]     HOME: build/demo, as ./run demo leaves it
set -eu
cd "$(dirname "$0")/../.."
home=${1:-build/demo}
[ -e "$home/production/recommend" ] || { echo "$home: expected a home with a version in production (./run demo makes one)"; exit 2; }
tools=build/clients
mkdir -p $tools
[ -x $tools/venv/bin/python ] || python3 -m venv $tools/venv
$tools/venv/bin/python -c 'import openai' 2>/dev/null || $tools/venv/bin/pip install -q openai
command -v npm >/dev/null || { echo "installing: nodejs npm"; apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
[ -e $tools/node_modules/openai ] || npm install --silent --no-fund --no-audit --prefix $tools openai
cp tests/peers/openai_clients.mjs $tools/
port=$((20000 + $$ % 20000))
build/tessera --home "$home" serve --port $port 2>$tools/serve.log &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && break
    sleep 0.1
done
$tools/venv/bin/python tests/peers/openai_clients.py "http://127.0.0.1:$port"
node $tools/openai_clients.mjs "http://127.0.0.1:$port"
