#!/bin/sh
# ./run quality: fills docs/QUALITY.md.  A cell is one training and its figures, kept under
# build/quality/cells/<hash of code, settings and data>; what is there is not computed again, and a
# cell that was killed goes on where it stopped.
#
#   ./run quality            all groups
#   ./run quality beauty     one of: beauty ties sample cold scale ids
set -eu
cd "$(dirname "$0")/../.."
. tests/quality/common.sh

# cell NAME DATA "settings of index and events" "settings of train" sasrec|alone "flags of evaluate"
# leaves ranks.tsv, evaluate.txt, evaluate.json, steps of training, seconds in $cell
cell() {
    key=$(hash "$code" "$2" "$(data_of "$2")" "$3" "$4" "$5" "$6" "$SASREC")
    cell=$root/cells/$key
    [ -e "$cell/done" ] && { echo "cell $1 ($key): there"; return 0; }
    home=$root/homes/$key
    mkdir -p "$cell" "$home"
    echo "cell $1 ($key): computing"
    start=$(date +%s)
    {
        [ -e "$cell/imported" ] || { $tessera --home "$home" import $(data_of "$2") && touch "$cell/imported"; }
        /usr/bin/env time -f "peak memory %M KiB, %e s" -o "$cell/index.time" $tessera --home "$home" index $3
        /usr/bin/env time -f "peak memory %M KiB, %e s" -o "$cell/train.time" $tessera --home "$home" train $3 $4
        echo $(($(date +%s) - start)) >"$cell/seconds"
        [ "$5" != sasrec ] || $tessera --home "$home" train $3 $4 $SASREC
        $tessera --home "$home" evaluate $3 $6 --test --label "$1" --runs docs/TEST_RUNS.tsv \
            --ranks "$cell/ranks.tsv" --json "$cell/evaluate.json"
    } >"$cell/evaluate.txt" 2>"$cell/log"
    cp "$home"/models/0001-*/training.tsv "$cell/training.tsv"
    rm -rf "$home"
    echo "$1 | $2 | $3 | $4 | $5" >"$cell/done"
}

# The baseline gets the same budget of tuning: docs/QUALITY.md lists its tries.
SASREC="--preset sasrec --dim 64 --heads 2 --kv-heads 2 --ffn 176 --dropout 0.3 --epochs 20"

table() { # label, then names of cells whose ranks are compared
    label=$1
    shift
    build/tessera compare --ranks "$*" --label "$label" --json "build/reports/quality-$(echo "$label" | tr ' ' '-').json" |
        tee "$root/$(echo "$label" | tr ' ' '-').md"
}

seeds() { # data, label: three seeds as one table; the first says everything
    files=
    for seed in 1 2 3; do
        [ "$seed" = 1 ] && flags=--all || flags=
        cell "$1 seed $seed" "$1" "" "--seed $seed" sasrec "$flags"
        files="$files $cell/ranks.tsv"
        [ "$seed" != 1 ] || first=$cell
    done
    table "$2" $files
    cp "$first/evaluate.txt" "$root/$1-all.txt"
    cp "$first/training.tsv" "$root/$1-training.tsv"
    cp "$first/seconds" "$root/$1-seconds.txt"
    cp "$first/train.time" "$root/$1-memory.txt"
}

if wants beauty && have_beauty beauty; then
    seeds beauty "beauty file order"
fi
if wants ties && have_beauty ties; then
    files=
    for shuffle in 1 2 3 4 5; do
        cell "beauty ties $shuffle" beauty "--tie-shuffle $shuffle" "--seed 1" sasrec ""
        table "beauty ties shuffled $shuffle" "$cell/ranks.tsv" >/dev/null
        files="$files $cell/ranks.tsv"
    done
    table "beauty ties shuffled" $files
fi
if wants sample; then
    seeds sample sample
fi
if wants cold && have_beauty cold; then
    cell "beauty cold" beauty "--cold-share 0.05" "--seed 1" alone --all
    cp "$cell/evaluate.txt" $root/beauty-cold.txt
    cp "$cell/evaluate.json" $root/beauty-cold.json
fi
# What names are made of: index reports in seconds, then a short training each, judged on validation.
ids_row() { # label, flags of index
    key=$(hash "$code" ids beauty "$2" "$IDS_TRAIN")
    cell=$root/cells/$key
    home=$root/homes/$key
    if [ ! -e "$cell/done" ]; then
        mkdir -p "$cell" "$home"
        echo "cell ids $1 ($key): computing"
        {
            $tessera --home "$home" import $(data_of beauty) >&2
            case $2 in
            *feed-back*)
                $tessera --home "$home" index >&2
                $tessera --home "$home" train $IDS_TRAIN >&2
                ;;
            esac
            $tessera --home "$home" index $2 >"$cell/index.txt"
            $tessera --home "$home" train $2 $IDS_TRAIN >&2
            $tessera --home "$home" evaluate $2 >"$cell/evaluate.txt"
        } 2>"$cell/log"
        rm -rf "$home"
        touch "$cell/done"
    fi
    python3 tests/quality/ids_row.py "$1" "$cell" >>$root/ids.md
}
IDS_TRAIN="--epochs 4"
if wants ids && have_beauty ids; then
    python3 tests/quality/ids_row.py >$root/ids.md
    ids_row "text and co-occurrence, 3 x 512 (the default)" ""
    ids_row "3 x 64" "--tiles 64"
    ids_row "3 x 128" "--tiles 128"
    ids_row "3 x 256" "--tiles 256"
    ids_row "3 x 1024" "--tiles 1024"
    ids_row "4 x 64" "--tiles 64 --tile-levels 4"
    ids_row "2 x 512" "--tile-levels 2"
    ids_row "text alone" "--event-weight 0"
    ids_row "co-occurrence alone" "--text-weight 0"
    ids_row "text at half length" "--text-weight 0.5"
    ids_row "text at twice the length" "--text-weight 2"
    ids_row "balanced (30 rounds)" "--tile-balance 30"
    ids_row "find vectors fed back" "--feed-back --event-dims 128"
fi
if wants scale; then
    tests/quality/scale.sh $tessera
fi
python3 tests/quality/report.py $root docs
