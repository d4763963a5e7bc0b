"""What the cells of ./run conversation left, as the part "Conversation" of docs/QUALITY.md.

usage: conversation_report.py FOLDER DOCS
"""
import json
import os
import sys

from report import fill, svg

FIGURES = ("R@1", "R@10", "R@50", "N@10", "N@20")
COUNTING = ("popularity", "retrieval", "item_knn")
METHODS = ("start", "imitation", "continue", "rank_grpo")
# R@1, R@10, R@50, NDCG@20 as others report them on ReDial's test split
PUBLISHED = (
    ("GPT-4, zero-shot (He et al. 2023)", ".050", "-", "-", ".132", "what was named left out, as here; R@5 .140, R@20 .267"),
    ("GPT-3.5, zero-shot (He et al. 2023)", ".043", "-", "-", ".115", "the same; R@5 .126, R@20 .224"),
    ("Vicuna-13B, zero-shot (He et al. 2023)", ".034", "-", "-", ".078", "the same; R@5 .089, R@20 .144"),
    ("KBRD (as in iEvaLM)", ".028", ".169", ".366", "-", "what was named not masked"),
    ("UniCRS (as in iEvaLM)", ".050", ".215", ".413", "-", "the same; users who ran it again report .029-.035 / .167-.173 / .374-.380"),
)


def load(folder, group, method, control):
    """{figure: {kind: value}} of a comparison, or {}."""
    path = os.path.join(folder, f"{group}.{method}.{control}.json")
    out = {}
    if os.path.exists(path):
        for row in json.load(open(path, encoding="utf-8")):
            what, kind = row["what"].rsplit(": ", 1)[1].rsplit(", ", 1)
            out.setdefault(what, {})[kind] = row["figure"]
    return out


def interval(found):
    if not found:
        return ""
    return f"[{found['low end of the difference']:+.4f}, {found['high end of the difference']:+.4f}]"


def runs(folder, group, method):
    path = os.path.join(folder, f"{group}.{method}.files")
    return open(path, encoding="utf-8").read().split() if os.path.exists(path) else []


def scores(folder, group, method):
    """The mean of each column over dialogues and runs."""
    total = {}
    files = runs(folder, group, method)
    for path in files:
        lines = [line.split("\t") for line in open(path, encoding="utf-8").read().strip().split("\n")]
        for i, name in enumerate(lines[0][1:], 1):
            total[name] = total.get(name, 0) + sum(float(row[i]) for row in lines[1:]) / (len(lines) - 1) / len(files)
    return total


def row_of(folder, group, method, kind, found, rivals, small):
    """kind: the policy's lists alone, or voted, as they are served."""
    name = method if kind == "lists" else f"{method}, votes"
    row = [name] + [f"{found[f'{kind} {f}']:.4f}" for f in FIGURES]
    row += [f"{found['unmasked N@20']:.4f}" if kind == "lists" else ""]
    row += [interval(load(folder, group, method, f"{kind}.{c}").get("N@20")) for c in COUNTING]
    row += [interval(load(folder, group, method, c).get(f"{kind} N@20")) if c != method else "" for c in rivals]
    return row + ([interval(load(folder, group, method, "small").get(f"{kind} N@20"))] if small else [])


def table(folder, group, methods):
    rivals = [c for c in METHODS[:3] if c in methods]
    small = [m for m in methods if load(folder, group, m, "small")]
    head = ["method"] + list(FIGURES) + ["N@20, named films not masked"] + [f"N@20 minus {c}" for c in list(COUNTING) + rivals]
    head += ["N@20 minus the small policy's"] if small else []
    out = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    found = {method: scores(folder, group, method) for method in methods}
    any_of = found[methods[0]]
    for name in COUNTING:
        out.append("| " + " | ".join([name] + [f"{any_of[f'{name} {f}']:.4f}" for f in FIGURES]) + " |" + " |" * (len(head) - 1 - len(FIGURES)))
    for kind in ("lists", "voted"):
        for method in methods:
            row = row_of(folder, group, method, kind, found[method], rivals, small)
            out.append("| " + " | ".join(row) + " |")
    return "\n".join(out)


def published():
    out = ["| published, ReDial's test split | R@1 | R@10 | R@50 | N@20 | |", "|---|---|---|---|---|---|"]
    out += ["| " + " | ".join(row) + " |" for row in PUBLISHED]
    return "\n".join(out) + (
        "\n\nThey train on all of ReDial's training dialogues (or on none, but on the web); ours are 44 % of it, less a tenth that chooses, "
        "and examples differ a little (ours: one a reply and film first named there).\n"
    )


def asked(folder, group):
    """What docs/targets.json asks of this group."""
    rows = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith(f"{group}.") and name.endswith(".json"):
            for row in json.load(open(os.path.join(folder, name), encoding="utf-8")):
                if row.get("target") is not None:
                    rows[row["what"]] = f"| {row['what']} | {row['figure']:+.4f} | above 0 | {str(row['met']).lower()} |"
    return "\n".join(["| asked | measured | | met |", "|---|---|---|---|"] + list(rows.values())) + "\n" if rows else ""


def curve(folder, group, method):
    path = os.path.join(folder, f"{group}.{method}.training.tsv")
    if not os.path.exists(path):
        return []
    lines = [line.split("\t") for line in open(path, encoding="utf-8").read().strip().split("\n")]
    at = {name: i for i, name in enumerate(lines[0])}
    return [
        (int(row[at["step"]]), float(row[at["validation_ndcg10"]]))
        for row in lines[1:]
        if len(row) == len(lines[0]) and row[at["validation_ndcg10"]]
    ]


def head(folder, group, method, part):
    path = os.path.join(folder, f"{group}.{method}.{part}.txt")
    return open(path, encoding="utf-8").read().strip() if os.path.exists(path) else ""


def main():
    folder, docs = sys.argv[1:]
    for group in ("dialogues", "backbone"):
        methods = [m for m in METHODS if runs(folder, group, m)] if os.path.isdir(folder) else []
        if not methods:
            continue
        seeds = len(runs(folder, group, methods[-1]))
        parts = [f"### {group}: ReDial's test split ({seeds} seed{'s' if seeds > 1 else ''})\n\n{table(folder, group, methods)}\n", asked(folder, group), published()]
        curves = {f"{m}: validation N@20": curve(folder, group, m) for m in methods if m != "start"}
        if any(len(points) > 1 for points in curves.values()):
            svg(os.path.join(docs, f"learning-conversation-{group}.svg"), curves, "step")
            parts.append(f"![learning curves](learning-conversation-{group}.svg)\n")
        for part in ("validation", "evaluate"):
            said = head(folder, group, methods[-1], part)
            if said:
                parts.append(f"What `evaluate --dialogues` says of {methods[-1]}, the last seed:\n\n```\n{said}\n```\n")
        fill(os.path.join(docs, "QUALITY.md"), f"conversation {group}", "\n".join(parts))


main()
