"""Lines of bench.sh into JSON rows beside their targets: bench_report.py LINES TARGETS OUT"""
import json, sys

lines = {}
for line in open(sys.argv[1]):
    head, _, tail = line.partition("{")
    try:
        lines.setdefault(head.strip(), []).append(json.loads("{" + tail))
    except ValueError:
        print("unreadable:", line.strip())
targets = {row["what"]: row for row in json.load(open(sys.argv[2]))}
rows = []


def add(what, figure, unit):
    target = targets.get(what, {})
    least, most = target.get("least"), target.get("most")
    met = None if not target else figure >= least if least is not None else figure <= most
    rows.append({"what": what, "figure": round(figure, 4), "unit": unit, "target": least if least is not None else most, "met": met})


for label, name in (("default", "default policy"), ("d256L6", "d=256 L=6")):
    ours = lines[f"train {label}"]
    speed = sum(o["positions_per_s"] for o in ours) / len(ours)  # before and after the peer
    add(f"training: positions/s, {name}", speed, "positions/s")
    add(f"training: share of measured fp32 peak, {name}", sum(o["share"] for o in ours) / len(ours), "share")
    for torch in lines.get(f"torch {label}", []):
        add(f"training: PyTorch fp32 positions/s, {name} ({torch['best']}, {torch['torch']})", torch["positions_per_s"], "positions/s")
        add(f"training: positions/s over PyTorch fp32, {name}", speed / torch["positions_per_s"], "ratio")
prefix = lines.get("prefix", [])
for case in prefix:
    label = f"prefix {case['prefix']}, suffix {case['suffix']}, group {case['group']}"
    add(f"shared prefix: times as fast as repeated, {label} (tokens: {case['predicted']:.2f})", case["ratio"], "ratio")
if prefix:
    add("shared prefix: least of measured over what tokens predict", min(case["of_predicted"] for case in prefix), "ratio")
FIGURES = (("prefill_per_s", "prefill", "tokens/s"), ("decode_1_per_s", "decode, one stream", "tokens/s"), ("decode_16_per_s", "decode, 16 streams in all", "tokens/s"),
           ("first_token_ms", "200 tokens to the first token", "ms"))
LISTS = (("first_rank_ms", "200 tokens to the first rank", "ms"), ("list_ms", "200 tokens to a full list of 10", "ms"), ("lists_16_ms", "16 dialogues of 200 tokens to the last list of 10", "ms"),
         ("longest_step_16_ms", "longest step of those", "ms"))
for label, name in (("small", "default policy, fp32"), ("smollm2", "SmolLM2-135M, bf16")):
    runs = lines.get(f"streams {label}", [])  # before and after the peer
    ours = {key: sum(run[key] for run in runs) / len(runs) for key, _, _ in FIGURES + LISTS} if runs else {}
    for key, what, unit in FIGURES + LISTS if runs else ():
        add(f"{name}: {what}", ours[key], unit)
    for torch in lines.get("torch streams", []) if label == "smollm2" else []:
        for key, what, unit in FIGURES:
            add(f"{name}: PyTorch {torch['torch']}, transformers {torch['transformers']}: {what}", torch[key], unit)
        add(f"{name}: decode over PyTorch, one stream", ours["decode_1_per_s"] / torch["decode_1_per_s"], "ratio")
        add(f"{name}: decode over PyTorch, 16 streams", ours["decode_16_per_s"] / torch["decode_16_per_s"], "ratio")
        add(f"{name}: prefill over PyTorch", ours["prefill_per_s"] / torch["prefill_per_s"], "ratio")
one, many = lines["serve"]
add("serving: p50 of a recommendation, one client, 12,000 items, beam 50", one["p50_ms"], "ms")
add("serving: p99 of a recommendation, one client", one["p99_ms"], "ms")
add("serving: requests/s, 16 clients", many["requests_per_s"], "requests/s")
add("serving: p99, 16 clients", many["p99_ms"], "ms")
fsync = lines["disk"][0]["per_s"]
events = lines["events"][0]["requests_per_s"] * 100
nosync = lines["events_nosync"][0]["requests_per_s"] * 100
# 16 clients have at most 1,600 events in flight; a commit of them costs two syncs beside the work itself
allowed = 1600 / (1600 / nosync + 2 / fsync)
add("events: the disk's own fsync/s", fsync, "1/s")
add("events: acknowledged/s, 16 clients, batches of 100", events, "events/s")
add("events: the same with sync off", nosync, "events/s")
add("events: acknowledged/s over what fsync and no-sync rates allow", events / allowed, "ratio")
json.dump(rows, open(sys.argv[3], "w"), indent=2)
print()
for row in rows:
    print(f"{row['figure']:>14}  {row['unit']:<12} {'' if row['met'] is None else 'met' if row['met'] else 'MISSED':<7} {row['what']}")
