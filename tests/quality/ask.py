"""Asks a service for slates and prints the median of what it says they took.

usage: ask.py PORT ITEMS
"""
import json
import random
import statistics
import sys
import urllib.request

port, items = sys.argv[1], int(sys.argv[2])
random.seed(5)
times = {"total": [], "name": [], "find": []}
for turn in range(230):
    history = [f"i{random.randrange(items)}" for _ in range(20)]
    body = json.dumps({"history": history, "n": 10}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/recommendations", body)
    with urllib.request.urlopen(request) as reply:
        slate = json.load(reply)
    assert len(slate["items"]) == 10, slate
    if turn >= 30:
        for part in times:
            times[part].append(slate["timing_ms"][part])
print("  a slate, median of 200, history 20, ms:", ", ".join(f"{part} {statistics.median(t):.2f}" for part, t in times.items()))
