#!/bin/sh
# Synthetic catalogues of 12,000, 100,000 and a million items: time and memory of indexing, training
# (a short one: what is shown here is that it works, and what it costs) and serving.  usage: scale.sh TESSERA
set -eu
tessera=$1
root=build/quality
out=$root/cells/scale-$(basename "$tessera").txt
[ ! -e "$out" ] || { echo "scale: there"; cp "$out" $root/scale.txt; exit 0; }
: >"$out.part"

make() { # items users folder: titles and categories by topic, users who stay near a topic
    awk -v items="$1" -v users="$2" -v out="$3" 'BEGIN {
        srand(7)
        topics = int(sqrt(items))
        for (i = 0; i < items; i++) {
            t = int(topics * rand() * rand()); topic[i] = t
            printf "{\"id\":\"i%d\",\"title\":\"w%d t%d-%d w%d m%d\",\"categories\":[\"c%d\",\"c%d-%d\"]}\n", i,
                int(20000 * rand() * rand()), t, int(8 * rand()), int(20000 * rand()), i % 5000, t % 50, t % 50, t > (out "/items.jsonl")
            first[t] = (t in first) ? first[t] " " i : i
        }
        print "user,item,timestamp" > (out "/interactions.csv")
        for (u = 0; u < users; u++) {
            t = topic[int(items * rand() * rand())]
            n = split(first[t], of, " ")
            for (e = 0; e < 7; e++)
                printf "u%d,i%s,%d\n", u, rand() < 0.8 ? of[1 + int(n * rand() * rand())] : int(items * rand()), 1000000 + u * 10 + e > (out "/interactions.csv")
        }
    }'
}

timed() { # label, then a command: seconds and peak memory into the report
    label=$1
    shift
    /usr/bin/env time -f "%e s, peak memory %M KiB" -o $root/time.txt "$@" >>$root/scale.log 2>&1
    echo "  $label: $(tail -1 $root/time.txt)" >>"$out.part"
}

for size in 12000 100000 1000000; do
    home=$root/homes/scale-$size
    rm -rf "$home" && mkdir -p "$home"
    echo "$size items" >>"$out.part"
    make $size $((size / 4 < 20000 ? 20000 : 200000)) "$home"
    timed "import" $tessera --home "$home" import --items "$home/items.jsonl" --interactions "$home/interactions.csv"
    timed "index" $tessera --home "$home" index
    timed "train (64 wide, one epoch)" $tessera --home "$home" train --dim 64 --heads 2 --kv-heads 2 --ffn 176 --epochs 1 \
        --softmax-items 5000 --batch 512 --check-users 100 --judge-users 500 --state-every-steps 100000
    $tessera --home "$home" serve --port 0 >"$home/serve.out" 2>"$home/serve.err" &
    pid=$!
    for i in $(seq 600); do
        port=$(sed -n 's|listening on http://127.0.0.1:\([0-9]*\)/|\1|p' "$home/serve.out")
        [ -z "$port" ] || break
        sleep 0.5
    done
    python3 tests/quality/ask.py "$port" $size >>"$out.part"
    echo "  memory of the service: $(awk '/VmHWM/ {print $2, $3}' /proc/$pid/status)" >>"$out.part"
    kill $pid
    wait $pid || true
    rm -rf "$home"
done
mv "$out.part" "$out"
cp "$out" $root/scale.txt
