"""Our tokens beside those of the reference tokenizer reading our own tokenizer.json.

usage: tokenizer.py TOKENIZER_JSON ENCODE_PROGRAM      (pip install tokenizers)

ENCODE_PROGRAM reads one text a line and prints its tokens, parted by spaces (build/tests/encode).
"""
import json
import random
import subprocess
import sys

from tokenizers import Tokenizer


def texts():
    random.seed(4)
    words = ["OPI", "Nail", "Lacquer,", "0.5-Fluid", "Crème", "brûlée", "it's", "they'll", "DON'T", "日本語", "映画", "🎬", "👩‍👩‍👧", "ß", "İstanbul",
             "ﬁne", "Å", "e\u0301", "½", "Ⅻ", "a_b", "x+y=z", "…", "—", "(2013)", "\u00a0", "  ", "\t", "ИРОНИЯ", "שלום", "12,000", "№5"]
    for _ in range(10000):
        yield "".join(random.choice(words) + random.choice([" ", " ", " ", "", "-", "  "]) for _ in range(random.randrange(1, 12)))


def main():
    reference = Tokenizer.from_file(sys.argv[1])
    lines = [text.replace("\n", " ") for text in texts()]
    ours = subprocess.run([sys.argv[2], sys.argv[1]], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True).stdout.split("\n")
    wrong = 0
    for text, found in zip(lines, ours):
        want = reference.encode(text, add_special_tokens=False).ids
        if want != [int(t) for t in found.split()]:
            wrong += 1
            if wrong <= 5:
                print("differs:", json.dumps(text, ensure_ascii=False), want, found)
    print(f"{len(lines)} texts, {wrong} differ")
    return wrong > 0


sys.exit(main())
