# common.sh: what the reports share: the binary by the hash of its code, cells by the hash of what made
# them, and where data lie.  Sourced from the root of the repository.
#
# Amazon Beauty is not part of this repository: BEAUTY names the folder that holds items.jsonl and
# interactions.csv.gz (data/README.md, the neutral form); without it its groups are left out, and said so.
BEAUTY=${BEAUTY:-../shared/data/amazon14-beauty}
root=build/quality
mkdir -p $root/cells $root/homes build/reports
code=${CODE:-$(git ls-files base data index model objective evaluate recommend train CMakeLists.txt | xargs cat | sha256sum | cut -c1-12)} # CODE: that of cells made before
tessera=build/tessera-quality-$code
[ -x $tessera ] || cp build/tessera $tessera
wanted=${1:-all}
wants() { [ "$wanted" = all ] || [ "$wanted" = "$1" ]; }
hash() { printf '%s' "$*" | sha256sum | cut -c1-12; }

data_of() { # beauty | sample: import flags
    case $1 in
    beauty) echo "--items $BEAUTY/items.jsonl --interactions $BEAUTY/interactions.csv.gz" ;;
    sample) echo "--items data/sample/items.jsonl.zst --interactions data/sample/interactions.csv.zst --conversations data/sample/conversations.jsonl.zst" ;;
    esac
}

have_beauty() { [ -e "$BEAUTY/items.jsonl" ] || { echo "$BEAUTY is not there: $1 left out"; return 1; }; }

# ---- versions that start from others, and tables of them ----
#
# Who sources this sets: cells (the beginning of names of homes and cells), table (a folder for what reports read),
# controls (names of rows that all others are compared with), first_training (more flags of the first training, may be
# empty), and defines judge VERSION "settings of index" "flags".
first_training=""

version_in() { sed -n 's/^version \([0-9a-f-]*\).*/\1/p' "$1" | tail -1; }

# base DATA SEED "settings of index" "flags of a second training, or empty": sets home and start, a version in it
base() {
    home=$root/homes/$cells-$(hash "$code" "$(data_of "$1")" "$2" "$3$first_training")
    found=$home/start-$(hash "$4")
    mkdir -p "$home"
    if [ ! -e "$home/first" ]; then
        echo "base $1 seed $2: computing"
        {
            [ -e "$home/imported" ] || { $tessera --home "$home" import $(data_of "$1") && touch "$home/imported"; }
            $tessera --home "$home" index $3
            $tessera --home "$home" train $3 $first_training --seed "$2"
        } >"$home/out" 2>"$home/log"
        version_in "$home/out" >"$home/first"
    fi
    if [ ! -e "$found" ] && [ -n "$4" ]; then
        echo "base $1 seed $2 $4: computing"
        $tessera --home "$home" train $3 --seed "$2" --promote false --init "$(cat "$home/first")" $4 >"$home/out" 2>>"$home/log"
        version_in "$home/out" >"$found"
    fi
    [ -e "$found" ] || cp "$home/first" "$found"
    start=$(cat "$found")
}

# method NAME DATA SEED "settings of index" "flags of train, or empty" "flags of evaluate": sets cell.  With FIRST in
# the place of flags it is the version before the second training that is judged.
method() {
    label="$2 $1 seed $3"
    cell=$root/cells/$cells-$(hash "$code" "$home" "$start" "$4" "$5" "$6" "$3")
    [ -e "$cell/done" ] && { echo "cell $label: there"; return 0; }
    echo "cell $label: computing"
    mkdir -p "$cell"
    version=$start
    if [ "$5" = FIRST ]; then
        version=$(cat "$home/first")
    elif [ -n "$5" ]; then
        $tessera --home "$home" train $4 --seed "$3" --init "$start" --promote false $5 >"$cell/train.txt" 2>"$cell/log"
        version=$(version_in "$cell/train.txt")
        [ ! -e "$home/models/$version/rollouts.tsv" ] || cp "$home/models/$version/rollouts.tsv" "$cell/"
    fi
    judge "$version" "$4" "--ranks $cell/ranks.tsv $(echo "$6" | sed "s|SCORES|$cell/scores.tsv|;s|REASONS|$cell/reasons.json|;s|RANKS|$cell/reason.tsv|")" >"$cell/evaluate.txt" 2>>"$cell/log"
    echo "$version" >"$cell/done"
}

# rows GROUP DATA KIND "settings" "second training" "flags of evaluate" then "NAME:flags of train" ...: a
# table of every method against each control; KIND is ranks or scores
rows() {
    group=$1 data=$2 kind=$3 settings=$4 second=$5 judging=$6
    shift 6
    mkdir -p $table
    rm -f $table/"$group".*.files
    for seed in $SEEDS; do
        base "$data" "$seed" "$settings" "$second"
        for row in "$@"; do
            method "${row%%:*}" "$data" "$seed" "$settings" "${row#*:}" "$judging"
            echo "$cell/$kind.tsv" >>$table/"$group.${row%%:*}.files"
            [ "$kind" != reason ] || cp "$cell/reasons.json" "$table/$group.${row%%:*}.$seed.reasons.json"
            [ ! -e "$cell/rollouts.tsv" ] || cp "$cell/rollouts.tsv" "$table/$group.${row%%:*}.rollouts.tsv"
        done
    done
    for row in "$@"; do
        for control in $controls; do
            of=$table/$group.$control.files
            [ -e "$of" ] && [ "$control" != "${row%%:*}" ] || continue
            with=$kind
            [ "$kind" != reason ] || with=ranks
            build/tessera compare --"$with" "$(tr '\n' ' ' <"$table/$group.${row%%:*}.files")" \
                --against "$(tr '\n' ' ' <"$of")" --label "$group: ${row%%:*} against $control" \
                --json "$table/$group.${row%%:*}.$control.json" >"$table/$group.${row%%:*}.$control.md"
        done
    done
}
