"""What the cells of ./run posttrain left, as the part "Post-training" of docs/QUALITY.md.

usage: posttrain_report.py FOLDER DOCS
"""
import json
import os
import sys

from report import fill, svg

FIGURES = {
    "names": ("name R@1", "name R@10", "name N@10", "name R@50", "fused N@10"),
    "ablation": ("name R@1", "name R@10", "name N@10", "name R@50", "fused N@10"),
    "lists": ("NDCG@5", "NDCG@10", "NDCG@20", "recall@20"),
    "reasons": ("reasoned name R@1", "direct name N@10", "reasoned name N@10", "direct slate N@10", "reasoned slate N@10"),
}
HONEST = (
    "served: precision before dropping, evidence",
    "served: precision before dropping, preference",
    "served: precision before dropping, intent",
    "served: precision before dropping, plan",
    "served: precision before dropping, cleaned",
    "served: precision before dropping",
    "grammar alone: precision before dropping",
    "served: claims an answer keeps",
    "served: answers with two claims of two kinds",
    "cited items matter more",
    "cited items matter more to the slate's first",
    "calibration error of intent",
    "time of a reasoned slate",
    "time of a direct slate",
)
CONTROLS = ("start", "continue", "grpo", "gspo")


def load(folder, group, method, control):
    """{figure: (mean, low, high)} of a method against a control, or None."""
    path = os.path.join(folder, f"{group}.{method}.{control}.json")
    if not os.path.exists(path):
        return None
    out = {}
    for row in json.load(open(path, encoding="utf-8")):
        what, kind = row["what"].rsplit(": ", 1)[1].rsplit(", ", 1)
        out.setdefault(what, {})[kind] = row["figure"]
    return out


def methods_of(folder, group):
    names = [name.split(".")[1] for name in os.listdir(folder) if name.startswith(group + ".") and name.endswith(".files")]
    first = [name for name in CONTROLS if name in names]
    return first + sorted(set(names) - set(first))


def means(folder, group, method, methods):
    """A method's own figures stand in every comparison it is part of; the start's, in the others'."""
    for control in methods:
        found = load(folder, group, method, control)
        if found:
            return found
    return {}


def table(folder, group):
    methods = methods_of(folder, group)
    kind = group.split("-")[1]  # beauty-names, sample-lists-twice
    figures = FIGURES[kind]
    main = figures[2]
    controls = [c for c in CONTROLS if c in methods]
    seeds = sum(1 for _ in open(os.path.join(folder, f"{group}.start.files"), encoding="utf-8"))
    out = [f"| method ({seeds} seeds) | {' | '.join(figures)} | {' | '.join(f'{main} minus {c}' for c in controls)} |", "|---" * (1 + len(figures) + len(controls)) + "|"]
    for method in methods:
        own = means(folder, group, method, methods)
        row = [method] + [f"{own[f]['mean']:.4f}" if f in own else "-" for f in figures]
        for control in controls:
            against = load(folder, group, method, control) if control != method else None
            difference = (against or {}).get(main)
            if not difference:
                row.append("")
                continue
            low, high = difference["low end of the difference"], difference["high end of the difference"]
            row.append(f"[{low:+.4f}, {high:+.4f}]")
        out.append("| " + " | ".join(row) + " |")
    return "\n".join(out)


def honesty(folder, group):
    """What chains were worth, the mean over seeds, a column a method."""
    methods = methods_of(folder, group)
    figures = {}
    seeds = 0
    for method in methods:
        names = sorted(n for n in os.listdir(folder) if n.startswith(f"{group}.{method}.") and n.endswith(".reasons.json"))
        seeds = max(seeds, len(names))
        for name in names:
            for row in json.load(open(os.path.join(folder, name), encoding="utf-8")):
                what = row["what"].replace("reasons, ", "").replace("reasons: ", "")
                if what in HONEST and row["what"].startswith("reasons"):
                    figures.setdefault((what, method), []).append(row["figure"])
    if not figures:
        return ""
    out = [f"| reasons ({seeds} seeds) | {' | '.join(methods)} |", "|---" * (1 + len(methods)) + "|"]
    for what in HONEST:
        cells = [figures.get((what, method)) for method in methods]
        out.append(f"| {what} | " + " | ".join(f"{sum(c) / len(c):.3f}" if c else "-" for c in cells) + " |")
    return "\n".join(out) + "\n"


def rollouts_of(folder, group, method):
    """Columns of rollouts.tsv by name, as lists of floats; or None."""
    path = os.path.join(folder, f"{group}.{method}.rollouts.tsv")
    if not os.path.exists(path):
        return None
    lines = [line.split("\t") for line in open(path, encoding="utf-8").read().strip().split("\n")]
    return {name: [float(row[i]) for row in lines[1:]] for i, name in enumerate(lines[0])}


def draw(folder, docs, group, method):
    """Reward, hits, silent groups and entropy over steps, each the mean of ten steps."""
    found = rollouts_of(folder, group, method)
    if not found:
        return ""
    every = 10
    curves = {}
    for name in ("reward", "hits", "silent_groups", "entropy"):
        value = found[name]
        curves[name] = [(found["step"][i], sum(value[i : i + every]) / len(value[i : i + every])) for i in range(0, len(value), every)]
    svg(os.path.join(docs, f"learning-{group}.svg"), curves, "step")
    return f"Rollouts of {method}: ![learning curves](learning-{group}.svg)\n"


def signal(folder, group):
    """What rollouts did at the first and the last tenth of a run, of the last seed."""
    out = ["| method | reward | hits | silent groups | units with signal | clipped | KL | entropy |", "|---" * 8 + "|"]
    for method in methods_of(folder, group):
        found = rollouts_of(folder, group, method)
        if not found:
            continue
        tenth = max(1, len(found["step"]) // 10)

        def ends(column):
            first, last = found[column][:tenth], found[column][-tenth:]
            return f"{sum(first) / tenth:.3f} to {sum(last) / tenth:.3f}"

        out.append("| " + " | ".join([method] + [ends(c) for c in ("reward", "hits", "silent_groups", "signal_units", "clipped", "kl", "entropy")]) + " |")
    return "\n".join(out) if len(out) > 2 else ""


def main():
    folder, docs = sys.argv[1:]
    groups = sorted({name.split(".")[0] for name in os.listdir(folder)}) if os.path.isdir(folder) else []
    for group in groups:
        parts = [f"### {group}, test part\n\n{table(folder, group)}\n", honesty(folder, group)]
        rollouts = signal(folder, group)
        if rollouts:
            parts.append(f"What the rollouts did, from the first to the last tenth of a run:\n\n{rollouts}\n")
            parts.append(draw(folder, docs, group, "rank_grpo" if "lists" in group else "srpo"))
        fill(os.path.join(docs, "QUALITY.md"), f"posttrain {group}", "\n".join(p for p in parts if p))

main()
