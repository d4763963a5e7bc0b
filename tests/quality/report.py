"""What the cells of ./run quality left, as docs/QUALITY.md, docs/SEMANTIC_IDS.md and learning curves as SVG.

usage: report.py FOLDER DOCS

What is computed stands between two marks; what stands around them is written by hand.
"""
import json
import os
import sys

BEGIN = "<!-- computed by ./run {}: begin -->"
END = "<!-- computed by ./run {}: end -->"


def read(folder, name):
    path = os.path.join(folder, name)
    return open(path, encoding="utf-8").read().strip() if os.path.exists(path) else None


def curve(folder, name):
    """Columns of training.tsv: epochs as floats, and what was looked at."""
    text = read(folder, name)
    if not text:
        return None
    lines = [line.split("\t") for line in text.split("\n")]
    at = {column: i for i, column in enumerate(lines[0])}
    rows = [row for row in lines[1:] if len(row) == len(lines[0])]
    steps = max(int(row[at["step"]]) for row in rows)
    epochs = max(int(row[at["epoch"]]) for row in rows) or 1
    every = max(1, len(rows) // 200)
    out = {"find loss": [], "name loss": [], "validation NDCG@10 (mean of name and find)": []}
    for i, row in enumerate(rows):
        x = int(row[at["step"]]) * epochs / steps
        if i % every == 0:
            out["find loss"].append((x, float(row[at["find_loss"]])))
            out["name loss"].append((x, float(row[at["name_loss"]])))
        if row[at["validation_ndcg10"]]:
            out["validation NDCG@10 (mean of name and find)"].append((x, float(row[at["validation_ndcg10"]])))
    return out


def panel(points, title, left, unit, width=300, height=200):
    """One curve in a box of its own scale."""
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    low, high = min(ys), max(ys)
    span = (high - low) or 1
    wide = max(xs) or 1
    path = " ".join(
        f"{left + 44 + x / wide * (width - 60):.1f},{30 + (high - y) / span * (height - 60):.1f}" for x, y in points
    )
    return (
        f'<text x="{left + 44}" y="18" class="t">{title}</text>'
        f'<rect x="{left + 44}" y="30" width="{width - 60}" height="{height - 60}" class="box"/>'
        f'<polyline points="{path}" class="line"/>'
        f'<text x="{left + 40}" y="36" class="n" text-anchor="end">{high:.3g}</text>'
        f'<text x="{left + 40}" y="{height - 30}" class="n" text-anchor="end">{low:.3g}</text>'
        f'<text x="{left + width - 16}" y="{height - 14}" class="n" text-anchor="end">{unit} {wide:.0f}</text>'
    )


def svg(path, curves, unit="epoch"):
    drawn = [(title, points) for title, points in curves.items() if len(points) > 1]
    body = "".join(panel(points, title, i * 310, unit) for i, (title, points) in enumerate(drawn))
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{310 * len(drawn)}" height="200">'
            "<style>.t{font:12px sans-serif}.n{font:10px sans-serif;fill:#555}"
            ".box{fill:none;stroke:#ccc}.line{fill:none;stroke:#2a6f97;stroke-width:1.5}"
            f"svg{{background:#fff}}</style>{body}</svg>\n"
        )


def cold_rows(folder):
    """What was asked of newcomers beside what was measured: not below nearest text, the others lose at most 2 %."""
    text = read(folder, "beauty-cold.json")
    if not text:
        return ""
    found = {row["what"]: row["figure"] for row in json.loads(text)}

    def hr(method, targets):
        return found[f"test: HR@10, {method}, {targets}"]

    known = "targets with a training event"
    text_only = hr("nearest_text", "targets without a training event")
    out = ["| | HR@10 of newcomers | asked | met | the others lose | asked | met |", "|---|---|---|---|---|---|---|"]
    for method in ("name", "find", "fused"):
        cold = hr(method, "targets without a training event")
        loss = 1 - hr(method, known) / hr(method, f"{known}, newcomers left out of the lists")
        out.append(
            f"| {method} | {cold:.4f} | >= {text_only:.4f} (nearest text) | {str(cold >= text_only).lower()} | {loss:.1%} | <= 2 % | {str(loss <= 0.02).lower()} |"
        )
    return "\n".join(out) + "\n"


def block(text):
    return "```\n" + text + "\n```\n"


def compose(folder, docs):
    out = []

    def table(title, name):
        text = read(folder, name)
        if text:
            out.append(f"### {title}\n\n{text}\n")

    table("Amazon Beauty, file tie order, history masked, test part", "beauty-file-order.md")
    table("Amazon Beauty, same-day ties shuffled, test part", "beauty-ties-shuffled.md")
    table("The sample (MovieTweetings), test part", "sample.md")
    for data in ("beauty", "sample"):
        curves = curve(folder, f"{data}-training.tsv")
        if curves:
            svg(os.path.join(docs, f"learning-{data}.svg"), curves)
            out.append(f"Learning curves, {data}, seed 1: ![learning curves](learning-{data}.svg)\n")
    seconds, memory = read(folder, "beauty-seconds.txt"), read(folder, "beauty-memory.txt")
    if seconds:
        out.append(
            f"Beauty, from import to a version that serves: {seconds} s on this machine; training: "
            f"{(memory or '').splitlines()[-1] if memory else 'not measured'}.\n"
        )
    for title, name in (
        ("Everything `evaluate --all --test` says, Beauty, seed 1", "beauty-all.txt"),
        ("The same, the sample, seed 1", "sample-all.txt"),
        ("5 % of Beauty's items taken out of training altogether", "beauty-cold.txt"),
        ("A million items", "scale.txt"),
    ):
        text = read(folder, name)
        if text:
            out.append(f"### {title}\n\n{block(text)}")
        if text and name == "beauty-cold.txt":
            out.append(cold_rows(folder))
    return "\n".join(out)


def fill(document, mark, computed):
    """Replaces what stands between the two marks of a document."""
    text = open(document, encoding="utf-8").read()
    before, rest = text.split(BEGIN.format(mark))
    after = rest.split(END.format(mark))[1]
    with open(document, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN.format(mark)}\n\n{computed}\n{END.format(mark)}{after}")
    print(f"{document} written")


def main():
    folder, docs = sys.argv[1:]
    computed = compose(folder, docs)
    if computed:
        fill(os.path.join(docs, "QUALITY.md"), "quality", computed)
    ids = read(folder, "ids.md")
    if ids:
        fill(os.path.join(docs, "SEMANTIC_IDS.md"), "quality ids", ids)


if __name__ == "__main__":
    main()
