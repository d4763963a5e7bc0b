#!/usr/bin/env python3
"""Makes the sample from the neutral forms of MovieTweetings 100K and ReDial.

usage: make.py MOVIETWEETINGS_FOLDER REDIAL_FOLDER OUT_FOLDER

One catalogue: the films of MovieTweetings' 5-core and all of ReDial's, joined on the IMDb number.
A film known to IMDb has the id tt<number>; one that only ReDial has is named redial-<number>.
"""
import csv, gzip, io, json, subprocess, sys

mt, rd, out = sys.argv[1:4]
rows = list(csv.DictReader(gzip.open(f"{mt}/interactions_5core.csv.gz", "rt")))
wanted = {r["item"] for r in rows}
films = {}
for line in open(f"{mt}/items.jsonl", encoding="utf-8"):
    item = json.loads(line)
    if item["id"] in wanted:
        films[item["imdb"]] = {"title": item["title"], "year": item["year"], "categories": item["categories"]}
imdb = {r["redial_item"]: r for r in csv.DictReader(open(f"{rd}/genres_movietweetings.csv", encoding="utf-8"))}
ids = {}
for line in open(f"{rd}/items.jsonl", encoding="utf-8"):
    item = json.loads(line)
    match = imdb.get(item["id"])
    ids[item["id"]] = match["imdb"] if match else "redial-" + item["id"]
    film = films.setdefault(ids[item["id"]], {"title": item["title"], "categories": []})
    if "year" not in film and item.get("year"):
        film["year"] = item["year"]
    if match and match["genres"] and not film["categories"]:
        film["categories"] = match["genres"].split("|")


def write(name, text):
    subprocess.run(["zstd", "-19", "-q", "-f", "-o", f"{out}/{name}.zst"], input=text.encode(), check=True)


with open(f"{out}/redial_items.txt", "w", encoding="utf-8") as file: # what ReDial ranks
    file.write("".join(i + "\n" for i in sorted(set(ids.values()))))
write("items.jsonl", "".join(json.dumps({"id": k, **v}, ensure_ascii=False) + "\n" for k, v in sorted(films.items())))
table = io.StringIO()
table.write("user,item,rating,timestamp\n")
for r in rows:
    table.write(f"{r['user']},tt{r['item']},{r['rating']},{r['timestamp']}\n")
write("interactions.csv", table.getvalue())
dialogues = []
for line in gzip.open(f"{rd}/conversations.jsonl.gz", "rt", encoding="utf-8"):
    d = json.loads(line)
    for turn in d["turns"]:
        turn["items_mentioned"] = [ids[i] for i in turn["items_mentioned"]]
    for name in ("target_items", "liked", "disliked", "seen"):
        d[name] = [ids[i] for i in d.get(name, [])]
    dialogues.append(json.dumps(d, ensure_ascii=False) + "\n")
write("conversations.jsonl", "".join(dialogues))
print(f"{len(films)} films, {len(rows)} ratings, {len(dialogues)} dialogues")
