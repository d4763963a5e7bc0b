"""One row of the table of names: what an index reported and what a short training made of it.

usage: ids_row.py [LABEL CELL]      without arguments: the head of the table
"""
import re
import sys


def figure(text, method, metric):
    """@10 of a method: its HR row carries the name, NDCG is the row below."""
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(method + " "))
    row = lines[at + (metric == "NDCG")].split(metric)[1].split()
    return row[2]


def main():
    if len(sys.argv) < 3:
        print("| names | entropy a / b / c, bits | shares 1 / 2 / 3 (among) | text agrees | collisions | name N@10 / R@10 | find N@10 | fused N@10 |")
        print("|---|---|---|---|---|---|---|---|")
        return
    label, cell = sys.argv[1:]
    index = open(f"{cell}/index.txt", encoding="utf-8").read()
    judged = open(f"{cell}/evaluate.txt", encoding="utf-8").read()
    levels = re.findall(r"^ +([a-z]) +(\d+) +(\d+) +([\d.]+)(?: +([\d.]+))?$", index, re.M)
    entropy = " / ".join(level[3] for level in levels[:-1])
    shares = re.findall(r"before: ([\d.]+), among ([\d.]+) items", index)
    shared = " / ".join(f"{float(share):.3f} ({float(among):.0f})" for share, among in shares)
    collisions = re.search(r"collisions (\d+)", index).group(1)
    print(
        f"| {label} | {entropy} | {shared} | {levels[0][4]} | {collisions} | "
        f"{figure(judged, 'name', 'NDCG')} / {figure(judged, 'name', 'HR')} | {figure(judged, 'find', 'NDCG')} | {figure(judged, 'fused', 'NDCG')} |"
    )


main()
