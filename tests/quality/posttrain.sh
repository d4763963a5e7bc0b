#!/bin/sh
# ./run posttrain: what post-training gives over its controls: docs/QUALITY.md, part "Post-training".
# Cells are kept and resumed as those of ./run quality (common.sh).
#
#   ./run posttrain                  all groups
#   ./run posttrain beauty-names     one of: beauty-names beauty-ablation beauty-reasons sample-names
#                                    sample-ablation sample-lists sample-reasons
#   SEEDS="1 2" ./run posttrain ...  other seeds than 1 2 3; ablations are of seed 1 alone
#
# Every method starts from the same supervised version, which never saw the last training events of a
# share of the users.  Controls: that version itself (start), and the same going on with those events by
# the supervised losses for as many updates (continue).
set -eu
cd "$(dirname "$0")/../.."
. tests/quality/common.sh
SEEDS=${SEEDS:-1 2 3}
NAMES="--rl-share 0.2"
LISTS="--split time --rl-share 0.3 --rl-events 5"

version_in() { sed -n 's/^version \([0-9a-f-]*\).*/\1/p' "$1" | tail -1; }

# base DATA SEED "settings of index" "flags of a second training, or empty": sets home and start, a version in it
base() {
    home=$root/homes/posttrain-$(hash "$code" "$(data_of "$1")" "$2" "$3")
    found=$home/start-$(hash "$4")
    mkdir -p "$home"
    if [ ! -e "$home/first" ]; then
        echo "base $1 seed $2: computing"
        {
            [ -e "$home/imported" ] || { $tessera --home "$home" import $(data_of "$1") && touch "$home/imported"; }
            $tessera --home "$home" index $3
            $tessera --home "$home" train $3 --seed "$2"
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

judge() { # version "settings of index" "flags of evaluate"
    $tessera --home "$home" evaluate $2 --of "$1" --test --label "$label" --runs docs/TEST_RUNS.tsv $3
}

# method NAME DATA SEED "settings of index" "flags of train, or empty" "flags of evaluate": sets cell
method() {
    label="$2 $1 seed $3"
    cell=$root/cells/posttrain-$(hash "$code" "$home" "$start" "$4" "$5" "$6" "$3")
    [ -e "$cell/done" ] && { echo "cell $label: there"; return 0; }
    echo "cell $label: computing"
    mkdir -p "$cell"
    version=$start
    if [ -n "$5" ]; then
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
    mkdir -p $root/posttrain
    rm -f $root/posttrain/"$group".*.files
    for seed in $SEEDS; do
        base "$data" "$seed" "$settings" "$second"
        for row in "$@"; do
            method "${row%%:*}" "$data" "$seed" "$settings" "${row#*:}" "$judging"
            echo "$cell/$kind.tsv" >>$root/posttrain/"$group.${row%%:*}.files"
            [ "$kind" != reason ] || cp "$cell/reasons.json" "$root/posttrain/$group.${row%%:*}.$seed.reasons.json"
            [ ! -e "$cell/rollouts.tsv" ] || cp "$cell/rollouts.tsv" "$root/posttrain/$group.${row%%:*}.rollouts.tsv"
        done
    done
    controls="start continue grpo gspo"
    [ "$kind" != reason ] || controls="start continue srpo"
    for row in "$@"; do
        for control in $controls; do
            of=$root/posttrain/$group.$control.files
            [ -e "$of" ] && [ "$control" != "${row%%:*}" ] || continue
            with=$kind
            [ "$kind" != reason ] || with=ranks
            build/tessera compare --"$with" "$(tr '\n' ' ' <"$root/posttrain/$group.${row%%:*}.files")" \
                --against "$(tr '\n' ' ' <"$of")" --label "$group: ${row%%:*} against $control" \
                --json "$root/posttrain/$group.${row%%:*}.$control.json" >"$root/posttrain/$group.${row%%:*}.$control.md"
        done
    done
}

# Post-training learns the kept events by its supervised losses, too, as its control does; rate and
# steps are those at which the control was best on validation.
STEPS=${STEPS:-200}
LATER="--rl-steps $STEPS --rl-check-every 50 --rl-learning-rate 0.0003 --judge_users 5000"
rl() { echo "$1:--stage rl --learn-kept true $LATER --algo $2"; }

names() { # group data
    rows "$1" "$2" ranks "$NAMES" "" "" "start:" "continue:--stage continue $LATER" "$(rl srpo srpo)" "$(rl grpo grpo)"
}
ablation() { # group data
    all_seeds=$SEEDS
    SEEDS=1
    rows "$1" "$2" ranks "$NAMES" "" "" "start:" "continue:--stage continue $LATER" "$(rl srpo srpo)" \
        "$(rl igpo srpo+igpo)" "$(rl tree_td srpo+tree_td)" "$(rl vade srpo+vade)" \
        "$(rl llds 'srpo+llds --num-iterations 2')" "$(rl e_grpo grpo+e_grpo)"
    SEEDS=$all_seeds
}
# start is the version of stage reason
reasons() { # group data
    stage="--stage reason --rl-check-every 200 --judge_users 5000"
    later="--stage rl --rl-reasons true --learn-kept true --rl-steps 100 --rl-check-every 25 --rl-prompts 32 --judge_users 5000"
    rows "$1" "$2" reason "$NAMES" "$stage" "--reasons 10000 --json REASONS --reason-ranks RANKS" "start:" \
        "continue:$later --algo srpo --rl-weight 0" "srpo:$later --algo srpo" "grpo:$later --algo grpo"
}
if wants beauty-names && have_beauty beauty-names; then
    names beauty-names beauty
fi
if wants beauty-ablation && have_beauty beauty-ablation; then
    ablation beauty-ablation beauty
fi
if wants beauty-reasons && have_beauty beauty-reasons; then
    reasons beauty-reasons beauty
fi
if wants sample-names; then
    names sample-names sample
fi
if wants sample-ablation; then
    ablation sample-ablation sample
fi
if wants sample-lists; then
    lists="--list-items 20"
    later="--rl-steps 100 --rl-check-every 25 --learn-kept true"
    list_rl() { echo "$1:--stage rl $later --algo $2 $lists"; }
    rows sample-lists sample scores "$LISTS" "--stage lists $lists --rl-steps 50 --rl-learning-rate 0.001 --rl-check-every 25" \
        "--lists --scores SCORES" "start:" "continue:--stage lists $lists $later" \
        "$(list_rl rank_grpo rank_grpo)" "$(list_rl grpo grpo)" "$(list_rl gspo gspo)" \
        "$(list_rl rank_grpo_2 'rank_grpo --num-iterations 2')" "$(list_rl grpo_2 'grpo --num-iterations 2')" \
        "$(list_rl gspo_2 'gspo --num-iterations 2')"
fi
if wants sample-reasons; then
    reasons sample-reasons sample
fi
python3 tests/quality/posttrain_report.py $root/posttrain docs
