#!/bin/sh
# Speed beside the peers and the machine's own limits: build/reports/bench.json and a table.
# PyTorch comes from pip into build/peers; without it its rows are left out, and said so.
set -eu
cd "$(dirname "$0")/../.."
./run build-tests
mkdir -p build/reports
PYTHON=${PYTHON:-build/peers/bin/python}
if [ ! -x "$PYTHON" ]; then
    echo "installing PyTorch into build/peers (for this benchmark alone)"
    python3 -m venv build/peers && build/peers/bin/pip install -q torch numpy transformers || echo "no PyTorch: its rows are left out"
fi
tessera="build/tessera --home build/bench"
sample="--items data/sample/items.jsonl.zst --interactions data/sample/interactions.csv.zst"
if [ ! -e build/bench/production/recommend ]; then
    rm -rf build/bench && mkdir -p build/bench
    # 12,000 items: the sample's, and films without events to fill up
    awk 'BEGIN { for (i = 7637; i < 12000; i++) printf "{\"id\":\"extra-%d\",\"title\":\"Extra film %d\",\"year\":%d,\"categories\":[\"Drama\"]}\n", i, i, 1950 + i % 60 }' \
        >build/bench/extra.jsonl
    $tessera import $sample
    $tessera import --items build/bench/extra.jsonl
    $tessera index
    $tessera train --epochs 10
fi
out=build/reports/bench.lines
: >"$out"
row() { echo "$1" "$2" >>"$out"; echo "$1 $2"; }

train() { # label dim layers heads ffn steps
    ours=$(build/tests/bench_train build/bench "$2" "$3" "$4" "$5" "$6" build/bench/windows.txt)
    row "train $1" "$ours"
    if [ -x "$PYTHON" ]; then
        row "torch $1" "$("$PYTHON" tests/peers/torch_train.py "$ours" build/bench/windows.txt "$2" "$3" "$4" "$5" "${SECONDS_EACH:-8}" 2>/dev/null)"
        row "train $1" "$(build/tests/bench_train build/bench "$2" "$3" "$4" "$5" "$6")" # once more, after the peer
    fi
}
train default 128 1 4 352 100
train d256L6 256 6 8 704 12

build/tests/bench_prefix | while read -r line; do row "prefix" "$line"; done

row "streams small" "$(build/tests/bench_streams small)"
row "streams smollm2" "$(build/tests/bench_streams smollm2)"
if [ -x "$PYTHON" ] && "$PYTHON" -c 'import transformers' 2>/dev/null; then
    row "torch streams" "$("$PYTHON" tests/peers/torch_streams.py 2>/dev/null)"
    row "streams smollm2" "$(build/tests/bench_streams smollm2)" # once more, after the peer
fi

serve() { # extra arguments; sets port and pid
    $tessera serve --port 0 "$@" >build/bench/serve.out 2>build/bench/serve.err &
    pid=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.3
        port=$(sed -n 's|listening on http://127.0.0.1:\([0-9]*\)/|\1|p' build/bench/serve.out)
        [ -z "$port" ] || break
    done
}
stop() { kill "$pid"; wait "$pid" || true; }
ids() { zstdcat data/sample/items.jsonl.zst | sed 's/^{"id": "\([^"]*\)".*/\1/'; }

serve
ids | build/tests/bench_serve recommend "$port" 5 | while read -r line; do row "serve" "$line"; done
row "disk" "$(build/tests/bench_serve fsync build/bench)"
row "events" "$(ids | build/tests/bench_serve events "$port" 5)"
stop
serve --sync false
row "events_nosync" "$(ids | build/tests/bench_serve events "$port" 5)"
stop
rm -rf build/bench/production build/bench/store # the events of this run are not data
python3 tests/peers/bench_report.py "$out" docs/targets.json build/reports/bench.json
