#!/bin/sh
# What schemathesis makes of /openapi.json: every operation by requests that fit the schema and by
# ones that do not; no reply may be a 5xx, of another schema, or to a request that does not fit
# (needs pip).  A copy of the home is served, since items and events are written.
#
#   tests/peers/schemathesis.sh [HOME [EXAMPLES]]     HOME: build/demo, as ./run demo leaves it
#
# Left out: ignored_auth (a home without keys asks for none) and positive_data_acceptance (that an
# id is 256 bytes in NFC or a dimension is the policy's no schema can say).
set -eu
cd "$(dirname "$0")/../.."
home=${1:-build/demo}
[ -e "$home/production/recommend" ] || { echo "$home: expected a home with a version in production (./run demo makes one)"; exit 2; }
tools=build/clients
mkdir -p $tools
[ -x $tools/venv/bin/python ] || python3 -m venv $tools/venv
[ -x $tools/venv/bin/schemathesis ] || $tools/venv/bin/pip install -q schemathesis
rm -rf $tools/home
cp -r "$home" $tools/home
port=$((20000 + $$ % 20000))
build/tessera --home $tools/home serve --port $port 2>$tools/serve.log &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf $tools/home' EXIT
for _ in $(seq 100); do
    curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && break
    sleep 0.1
done
$tools/venv/bin/schemathesis run "http://127.0.0.1:$port/openapi.json" --max-examples "${2:-100}" --seed 1 \
    --exclude-checks ignored_auth,positive_data_acceptance
