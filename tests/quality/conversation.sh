#!/bin/sh
# ./run conversation: lists for what dialogues ask, on ReDial: docs/QUALITY.md, part "Conversation".
# Cells are kept and resumed as those of ./run quality (common.sh).
#
#   ./run conversation               all groups
#   ./run conversation dialogues     the small backbone, seeds 1 2 3: start, imitation, continue (the control of
#                                    Rank-GRPO: imitation goes on for as many updates), rank_grpo
#   ./run conversation backbone      SmolLM2-135M (./run backbone brings it), seed 1: imitation, rank_grpo
#   ./run conversation report        only what is there
#   SEEDS=1 METHODS="imitation" ./run conversation dialogues    fewer of them
#
# Settings were chosen on validation (a tenth of ReDial's training dialogues); every cell has both parts.
set -eu
cd "$(dirname "$0")/../.."
. tests/quality/common.sh
SEEDS=${SEEDS:-1 2 3}
METHODS=${METHODS:-start imitation continue rank_grpo}
cells=conversation
table=$root/conversation
controls="start imitation continue"
INDEX="--count-dialogues true"
JUDGING="--dialogues true --among data/sample/redial_items.txt --beam 5 --scores SCORES"
IMITATION="--stage dialogue --batch 32 --dialogue_share 1.2 --dialogue-steps 2000 --rl-check-every 200 --patience 100 --check_users 500 --judge_users 500"
LATER_STEPS=${LATER_STEPS:-1000}
LATER="--batch 32 --dialogue_share 1.2 --rl-source dialogues --list-items 20 --rl-steps $LATER_STEPS --rl-check-every 100 --patience 100 --check_users 500 --judge_users 500"
CONTINUE="--stage continue $LATER"
RANK_GRPO="--stage rl --algo rank_grpo --num-generations 16 $LATER"

# SmolLM2: what a step may cost on a CPU, and the share of the test dialogues that is judged
BACKBONE_FIRST=${BACKBONE_FIRST---epochs 1 --batch 16 --task_share 0.25 --dropout 0.05 --warmup-steps 50}
BACKBONE_LATER=${BACKBONE_LATER---batch 4 --dropout 0.05 --warmup-steps 20 --dialogue_share 3 --dialogue-steps 400 --dialogue-learning-rate 0.0015 --trunk_rate 0.4 --rl-check-every 100 --task_share 0.25 --check_users 60 --judge_users 100}
BACKBONE_RL=${BACKBONE_RL---rl-prompts 8 --rl-steps 20 --rl-check-every 10}
BACKBONE_METHODS=${BACKBONE_METHODS:-imitation rank_grpo}
SHARE=${SHARE:-0.25}

judge() { # version "settings of index" "flags of evaluate"
    $tessera --home "$home" evaluate $2 --of "$1" $(echo "$3" | sed 's|/scores.tsv|/validation.tsv|') >"$cell/validation.txt"
    [ ! -e "$home/models/$1/training.tsv" ] || cp "$home/models/$1/training.tsv" "$cell/"
    $tessera --home "$home" evaluate $2 --of "$1" --test --label "$label" --dialogue-runs docs/DIALOGUE_RUNS.tsv $3
}

# of METHOD FILE: the columns of one method alone, without its name
of() { awk -F'\t' -v m="$1 " 'NR == 1 { for (i = 1; i <= NF; i++) if (i == 1 || index($i, m) == 1) keep[i] = 1 }
    { line = ""; for (i = 1; i <= NF; i++) if (keep[i]) { if (NR == 1) sub("^" m, "", $i); line = line (i > 1 ? "\t" : "") $i } print line }' "$2"; }

# columns OF RIVAL GROUP NAME: those of one against those of the other, dialogue by dialogue
columns() {
    [ "$1" = lists ] && of_name=$4 || of_name="$4, votes"
    mine="" theirs="" n=0
    for file in $(cat "$table/$3.$4.files"); do
        n=$((n + 1))
        of "$1" "$file" >"$table/.mine.$n" && of "$2" "$file" >"$table/.theirs.$n"
        mine="$mine $table/.mine.$n" theirs="$theirs $table/.theirs.$n"
    done
    build/tessera compare --scores "$mine" --against "$theirs" --label "$3: $of_name against $2" \
        --json "$table/$3.$4.$1.$2.json" >"$table/$3.$4.$1.$2.md"
    rm -f $table/.mine.* $table/.theirs.*
}

# The lists of each row, without and with votes, against each way of counting.
against_counting() { # group
    for files in $table/"$1".*.files; do
        name=$(basename "$files" .files)
        name=${name#"$1".}
        for rival in popularity retrieval item_knn; do
            columns lists $rival "$1" "$name"
            columns voted $rival "$1" "$name"
        done
        columns voted lists "$1" "$name"
    done
}

curves() { # group: those of the last seed
    for name in $METHODS; do
        last=$(tail -1 "$table/$1.$name.files" | sed 's|/scores.tsv||')
        [ ! -e "$last/training.tsv" ] || cp "$last/training.tsv" "$table/$1.$name.training.tsv"
        cp "$last/evaluate.txt" "$table/$1.$name.evaluate.txt"
        cp "$last/validation.txt" "$table/$1.$name.validation.txt"
    done
}

flags_of() { # method: sets flags of its training
    case $1 in
    start) flags=FIRST ;;
    imitation) flags="" ;;
    continue) flags=$CONTINUE ;;
    rank_grpo) flags=$RANK_GRPO ;;
    *) echo "no method $1" && exit 2 ;;
    esac
}

# group GROUP "settings of index and training" "flags of evaluate"
group() {
    about=$1 settings=$2 judging=$3
    rows_of=""
    for method in $METHODS; do
        flags_of "$method"
        rows_of="$rows_of$method:$flags|"
    done
    IFS='|'
    set -- $rows_of
    unset IFS
    rows "$about" sample scores "$settings" "$IMITATION" "$judging" "$@"
    against_counting "$about"
    curves "$about"
}

if wants dialogues; then
    group dialogues "$INDEX" "$JUDGING"
fi

# The small policy of seed 1 on the same share of the dialogues, and each row against its twin.
small_twins() { # group "flags of evaluate"
    for name in $METHODS; do
        base sample 1 "$INDEX" "$IMITATION"
        flags_of "$name"
        method "small_$name" sample 1 "$INDEX" "$flags" "$2"
        build/tessera compare --scores "$(cat "$table/$1.$name.files")" --against "$cell/scores.tsv" \
            --label "$1: $name against the small policy" --json "$table/$1.$name.small.json" >"$table/$1.$name.small.md"
    done
}

if wants backbone; then
    BACKBONE=${BACKBONE:-build/backbone/smollm2.gguf}
    if [ -e "$BACKBONE" ]; then
        all_seeds=$SEEDS all_methods=$METHODS
        SEEDS=1 METHODS=$BACKBONE_METHODS
        small=$IMITATION small_continue=$CONTINUE small_rank_grpo=$RANK_GRPO
        first_training="--backbone $BACKBONE $BACKBONE_FIRST"
        IMITATION="$IMITATION $BACKBONE_LATER" CONTINUE="$CONTINUE $BACKBONE_LATER" RANK_GRPO="$RANK_GRPO $BACKBONE_LATER $BACKBONE_RL"
        group backbone "$INDEX" "$JUDGING --judge-share $SHARE"
        first_training="" IMITATION=$small CONTINUE=$small_continue RANK_GRPO=$small_rank_grpo
        small_twins backbone "$JUDGING --judge-share $SHARE"
        SEEDS=$all_seeds METHODS=$all_methods
    else
        echo "$BACKBONE is not there (./run backbone brings it): backbone left out"
    fi
fi
python3 tests/quality/conversation_report.py $table docs
