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
cells=posttrain
table=$root/posttrain
controls="start continue grpo gspo"

judge() { # version "settings of index" "flags of evaluate"
    $tessera --home "$home" evaluate $2 --of "$1" --test --label "$label" --runs docs/TEST_RUNS.tsv $3
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
    controls="start continue srpo"
    stage="--stage reason --rl-check-every 200 --judge_users 5000"
    later="--stage rl --rl-reasons true --learn-kept true --rl-steps 100 --rl-check-every 25 --rl-prompts 32 --judge_users 5000"
    rows "$1" "$2" reason "$NAMES" "$stage" "--reasons 10000 --json REASONS --reason-ranks RANKS" "start:" \
        "continue:$later --algo srpo --rl-weight 0" "srpo:$later --algo srpo"
    controls="start continue grpo gspo"
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
    learnt="--stage lists $lists --rl-steps 50 --rl-learning-rate 0.001 --rl-check-every 25"
    rows sample-lists sample scores "$LISTS" "$learnt" "--lists --scores SCORES" "start:" \
        "continue:--stage lists $lists $later" "$(list_rl rank_grpo rank_grpo)" "$(list_rl grpo grpo)" \
        "$(list_rl gspo gspo)"
    all_seeds=$SEEDS
    SEEDS=1 # two updates for a sampling: at one, all ratios are 1
    rows sample-lists-twice sample scores "$LISTS" "$learnt" "--lists --scores SCORES" "start:" \
        "continue:--stage lists $lists $later" "$(list_rl rank_grpo rank_grpo)" \
        "$(list_rl rank_grpo_2 'rank_grpo --num-iterations 2')" "$(list_rl grpo_2 'grpo --num-iterations 2')" \
        "$(list_rl gspo_2 'gspo --num-iterations 2')"
    SEEDS=$all_seeds
fi
if wants sample-reasons; then
    reasons sample-reasons sample
fi
python3 tests/quality/posttrain_report.py $root/posttrain docs
