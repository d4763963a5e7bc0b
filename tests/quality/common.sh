# common.sh: what the reports share: the binary by the hash of its code, cells by the hash of what made
# them, and where data lie.  Sourced from the root of the repository.
#
# Amazon Beauty is not part of this repository: BEAUTY names the folder that holds items.jsonl and
# interactions.csv.gz (data/README.md, the neutral form); without it its groups are left out, and said so.
BEAUTY=${BEAUTY:-../shared/data/amazon14-beauty}
root=build/quality
mkdir -p $root/cells $root/homes build/reports
code=$(git ls-files base data index model objective evaluate recommend train CMakeLists.txt | xargs cat | sha256sum | cut -c1-12)
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
