"""Chats as many clients have them at once: URL FOLDER REPLIES STREAMS PID.

FOLDER holds items.jsonl and conversations.jsonl; each reply is asked for by the first half of a training
dialogue of ReDial, up to a message of who seeks.  PID is the service, whose memory is looked at.
Replies are written to FOLDER/replies.txt, for eyes.
"""
import http.client
import itertools
import json
import re
import sys
import threading
import time
import urllib.parse

url, folder, replies, streams, pid = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
host = urllib.parse.urlsplit(url).netloc


def memory(field):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith(field))


def beginnings():
    with open(f"{folder}/conversations.jsonl") as file:
        for line in file:
            dialogue = json.loads(line)
            if dialogue["split"] != "train":
                continue
            messages = []
            for turn in dialogue["turns"]:
                role = "user" if turn["role"] == "seeker" else "assistant"
                if messages and messages[-1]["role"] == role:
                    messages[-1]["content"] += "\n" + turn["text"]
                else:
                    messages.append({"role": role, "content": turn["text"]})
            messages = messages[: len(messages) // 2 + 1]
            while messages and messages[-1]["role"] != "user":
                messages.pop()
            if messages:
                yield messages


def titles():
    """Titles that text can be searched for without taking common words for them: two words or more, as written."""
    found = set()
    with open(f"{folder}/items.jsonl") as file:
        for line in file:
            title = json.loads(line).get("title", "")
            if len(re.findall(r"\w+", title)) >= 2:
                found.add(title)
    return found


def ask(messages):
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, timeout=600)
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": "chat", "stream": True, "messages": messages}))
    response = connection.getresponse()
    got = {"text": "", "first": None, "list": None, "listed": [], "source": None, "gap": 0, "error": None}
    if response.status != 200:
        got["error"] = response.read().decode()
    last = began
    for line in response if response.status == 200 else []:
        now = time.monotonic()
        if line.startswith(b":"):
            got["gap"], last = max(got["gap"], now - last), now
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        got["gap"], last = max(got["gap"], now - last), now
        frame = json.loads(line[6:])
        got["error"] = got["error"] or frame.get("error")
        for choice in frame.get("choices", []):
            delta = choice["delta"]
            if delta.get("recommendations") is not None:
                got["list"], got["listed"] = now - began, delta["recommendations"]
            if delta.get("content"):
                got["first"] = got["first"] or now - began
                got["text"] += delta["content"]
            got["source"] = delta.get("text_source", got["source"])
    got["all"] = time.monotonic() - began
    return got


def client(work, lock, done):
    while True:
        with lock:
            if not work:
                return
            messages = work.pop()
        got = ask(messages)
        with lock:
            done.append((messages, got))


def unlisted(text, listed, names):
    """Titles of the catalogue in a text that are neither on the list nor part of a name that is."""
    rest = re.sub(r'I cannot act on "[^"]*"(, "[^"]*")*', "", text)  # what the user said, quoted
    for title in sorted((entry["item"]["title"] for entry in listed), key=len, reverse=True):
        rest = rest.replace(title, "\0")
    return [name for name in names if name in rest and re.search(r"(?<!\w)" + re.escape(name) + r"(?!\w)", rest)]


def spread(name, values):
    values = sorted(values)
    at = lambda share: 1000 * values[min(len(values) - 1, int(share * len(values)))]
    print(f"{name}: p50 {at(.5):.0f} ms, p95 {at(.95):.0f} ms, most {1000 * values[-1]:.0f} ms")


names = titles()
work = list(itertools.islice(beginnings(), replies))
one = [ask(messages) for messages in work[:10]]
spread("alone, to the list", [got["list"] for got in one])
spread("alone, to the first word", [got["first"] for got in one])
print(f"memory with one chat: {memory('VmRSS')} MB")
lock, done = threading.Lock(), []
began = time.monotonic()
clients = [threading.Thread(target=client, args=(work, lock, done)) for _ in range(streams)]
for each in clients:
    each.start()
for each in clients:
    each.join()
took = time.monotonic() - began
failed = [got["error"] for _, got in done if got["error"] or not got["text"]]
short = [got for _, got in done if len(got["listed"]) != 10]
ids = [[entry["item_id"] for entry in got["listed"]] for _, got in done]
wrong = [(got["text"], found) for _, got in done if (found := unlisted(got["text"], got["listed"], names))]
with open(f"{folder}/replies.txt", "w") as file:
    for messages, got in done:
        file.write(f"{messages[-1]['content']}\n  -> {got['source']}: {got['text']}\n")
print(f"{len(done)} replies, {streams} at once, {took:.1f} s: {len(done) / took:.1f} a second; {len(failed)} failed {failed[:1]}")
spread(f"{streams} at once, to the list", [got["list"] for _, got in done if got["list"]])
spread(f"{streams} at once, to the first word", [got["first"] for _, got in done if got["first"]])
spread(f"{streams} at once, to the end", [got["all"] for _, got in done])
spread(f"{streams} at once, longest silence", [got["gap"] for _, got in done])
print(f"memory: {memory('VmRSS')} MB, most {memory('VmHWM')} MB")
print(f"words: {sum(got['source'] == 'model' for _, got in done)} of the model, {sum(got['source'] == 'template' for _, got in done)} of the template")
print(f"lists: {len(short)} without 10 items, {sum(len(set(row)) != len(row) for row in ids)} with one twice")
print(f"names that are not on the list: {len(wrong)}")
for text, found in wrong[:20]:
    print(f"  {found} in: {text}")
sys.exit(bool(failed or wrong))
