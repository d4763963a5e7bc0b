#!/bin/sh
# The official openai clients of Python and JavaScript, unmodified, against a served home (needs pip and npm).
#
#   tests/peers/openai_clients.sh [HOME]     HOME: build/demo, as ./run demo leaves it
set -eu
cd "$(dirname "$0")/../.."
. tests/peers/served.sh
home=${1:-build/demo}
a_home "$home"
$tools/venv/bin/python -c 'import openai' 2>/dev/null || $tools/venv/bin/pip install -q openai
command -v npm >/dev/null || { echo "installing: nodejs npm"; apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
[ -e $tools/node_modules/openai ] || npm install --silent --no-fund --no-audit --prefix $tools openai
cp tests/peers/openai_clients.mjs $tools/
serve "$home"
$tools/venv/bin/python tests/peers/openai_clients.py "$url"
node $tools/openai_clients.mjs "$url"
