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
. tests/peers/served.sh
home=${1:-build/demo}
a_home "$home"
[ -x $tools/venv/bin/schemathesis ] || $tools/venv/bin/pip install -q schemathesis
rm -rf $tools/home
cp -r "$home" $tools/home
serve $tools/home
$tools/venv/bin/schemathesis run "$url/openapi.json" --max-examples "${2:-100}" --seed 1 \
    --exclude-checks ignored_auth,positive_data_acceptance
