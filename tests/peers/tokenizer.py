"""Our tokens beside those of the reference tokenizer (pip install tokenizers gguf).

usage: tokenizer.py TOKENIZER_JSON ENCODE              ours, as training writes it
       tokenizer.py --gguf FILE.gguf ENCODE            a GGUF's vocabulary; the reference is built from its lists
       tokenizer.py --foreign TOKENIZER_JSON ENCODE    somebody else's file
       tokenizer.py --synthetic CONVERSATIONS ENCODE   vocabularies learnt by the reference, one a kind of pipeline

ENCODE is build/tests/encode.  10,000 mixed texts each; broken bytes become U+FFFD before the reference sees them.
The reference normalises by tables of about Unicode 9: pipelines that normalise are compared on letters of Unicode 3.2 (and
the emoji of the word list), all others on letters of this Python's Unicode.  With --speed also MB/s of both, one thread, on the texts of CONVERSATIONS or the mixed ones.
"""
import argparse
import json
import os
import random
import subprocess
import tempfile
import time
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

WORDS = ["OPI", "Nail", "Lacquer,", "0.5-Fluid", "Crème", "brûlée", "it's", "they'll", "DON'T", "日本語", "映画", "🎬", "👩‍👩‍👧", "ß", "İstanbul",
         "ﬁne", "Å", "e\u0301", "½", "Ⅻ", "a_b", "x+y=z", "…", "—", "(2013)", "\u00a0", "  ", "\t", "ИРОНИЯ", "שלום", "12,000", "№5"]
MORE = ["The", "Matrix", "movies", "like", "I've", "WE'RE", "'s", "’s", "\n", "\r\n", "\n\n  ", "   ", "\u3000", "\u2028", "\u180e", "\x85", "\u200b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "https://x.org/?q=1&b=2", "中文电影推荐", "ภาษาไทย", "हिन्दी", "한국어", "각", "العربية", "٣٤", "🇩🇪", "👍🏽", "❤️", "a\u0300\u0323", "\u0301", "Ω", "Å", "ſ'S", "ﬀ", "①", "²",
        "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|", "|>", "<s>", "</s>", "<unk>", "\u2581", "Ġ", "Ċ", "0", "1234567", "3.14", "#", "!!!", "?!", "({[", "->", "foo_bar", "CamelCase", "\x00x"[1:], "\x01", "\x7f", "\ufeff", "\ufffd"]
BROKEN = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x8e", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5", b"\x80\x80", b"\xe0\x80\xaf"]


def lines():
    random.seed(4)
    for _ in range(10000):
        yield ("".join(random.choice(WORDS) + random.choice([" ", " ", " ", "", "-", "  "]) for _ in range(random.randrange(1, 12)))).replace("\n", " ").encode()


def mixed(database=unicodedata):
    random.seed(5)
    letters = [chr(c) for c in range(1, 0x20000) if database.category(chr(c)) not in ("Cn", "Cs", "Co")]
    for n in range(10000):
        parts = []
        for _ in range(random.randrange(1, 14)):
            kind = random.random()
            word = random.choice(WORDS + MORE) if kind < .8 else "".join(random.choice(letters) for _ in range(random.randrange(1, 5)))
            parts.append(word.encode() if kind < .95 or n % 2 else random.choice(BROKEN))
            parts.append(random.choice([b" ", b" ", b"", b"", b"  ", b"\n", b"-"]))
        yield b"".join(parts)


def encode(program, path, texts, *flags):
    run = subprocess.run([program, "-0", *flags, path], input=b"\0".join(texts) + b"\0", capture_output=True, check=True)
    return [[int(t) for t in line.split()] for line in run.stdout.decode().split("\n")[:len(texts)]]


def compare(name, reference, program, path, texts, *flags):
    found = encode(program, path, texts, *flags)
    wrong = 0
    for text, ours in zip(texts, found):
        want = reference.encode(text.decode("utf-8", errors="replace"), add_special_tokens=False).ids
        if want != ours:
            wrong += 1
            if wrong <= 3:
                at = next((i for i, (a, b) in enumerate(zip(want, ours)) if a != b), min(len(want), len(ours)))
                print("differs:", json.dumps(text.decode("utf-8", errors="replace"), ensure_ascii=True), "at", at,
                      [reference.id_to_token(t) for t in want[at:at + 4]], [reference.id_to_token(t) for t in ours[at:at + 4]])
    print(f"{name}: {len(texts)} texts, {wrong} differ", flush=True)
    return wrong > 0


def speed(name, reference, program, path, texts, *flags):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    strings = [t.decode("utf-8", errors="replace") for t in texts]
    size = sum(len(t) + 1 for t in texts)
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        for string in strings:
            reference.encode(string, add_special_tokens=False)
        best = min(best, time.perf_counter() - start)
    run = subprocess.run([program, "-0", "-t", "5", *flags, path], input=b"\0".join(texts) + b"\0", capture_output=True, check=True)
    ours = float(run.stdout.split()[0])
    print(f"{name}: {size / 1e6:.1f} MB, reference {size / best / 1e6:.2f} MB/s, ours {ours:.2f} MB/s, ratio {ours / (size / best / 1e6):.1f}", flush=True)


def of_gguf(path):
    """The reference, built from the lists in the file as llama.cpp's converter took them apart."""
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    tokens, types, merges = (fields["tokenizer.ggml." + key].contents() for key in ("tokens", "token_type", "merges"))
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    reference = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    reference.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    reference.decoder = decoders.ByteLevel()
    reference.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    return reference


MODERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(regex=None, **more):
    split = [pre_tokenizers.Split(Regex(regex), "isolated")] if regex else []
    return pre_tokenizers.Sequence(split + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not regex, **more)])


def synthetic(texts):
    """Name, normalizer, pre-tokenizer, whether bytes or SentencePiece's way, model settings."""
    P = pre_tokenizers
    meta = "\u2581"
    llama2 = normalizers.Sequence([normalizers.Prepend(meta), normalizers.Replace(" ", meta)])
    kinds = [
        ("gpt-2", None, P.ByteLevel(add_prefix_space=False), True),
        ("gpt-2 with a space before", None, P.ByteLevel(add_prefix_space=True), True),
        ("llama-3", None, byte_level(MODERN % "{1,3}"), True),
        ("qwen-2", normalizers.NFC(), byte_level(MODERN % ""), True),
        ("nfkc, lower case", normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]), byte_level(MODERN % ""), True),
        ("nfd, replace", normalizers.Sequence([normalizers.NFD(), normalizers.Replace(Regex(r"\p{Mn}+"), ""), normalizers.Replace("the", "THE")]), byte_level(), True),
        ("digits together, punctuation", normalizers.NFKD(), P.Sequence([P.Digits(False), P.Punctuation("isolated"), P.ByteLevel(add_prefix_space=False)]), True),
        ("merged with previous", None, P.Sequence([P.Split(" ", "merged_with_previous"), P.Punctuation("merged_with_previous"), P.ByteLevel(add_prefix_space=False, use_regex=False)]), True),
        ("merged with next", None, P.Sequence([P.Split(Regex(r"\s"), "merged_with_next"), P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False, use_regex=False)]), True),
        ("inverted, removed", None, P.Sequence([P.WhitespaceSplit(), P.Split(Regex(r"\p{L}+|\p{N}"), "removed", invert=True), P.ByteLevel(add_prefix_space=True, use_regex=False)]), True),
        ("words", None, P.Sequence([P.Whitespace(), P.ByteLevel(add_prefix_space=False, use_regex=False)]), True),
        ("llama-2", llama2, None, False),
        ("metaspace, first", None, P.Metaspace(prepend_scheme="first"), False),
        ("metaspace, always", normalizers.NFKC(), P.Metaspace(prepend_scheme="always"), False),
        ("metaspace, whole", None, P.Metaspace(prepend_scheme="never", split=False), False),
    ]
    for name, normalizer, pre, by_bytes in kinds:
        # what has no words would take long to learn: learnt with words, used without
        model = models.BPE() if by_bytes else models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
        t = Tokenizer(model)
        if normalizer:
            t.normalizer = normalizer
        t.pre_tokenizer = pre if pre and "whole" not in name else P.Split(meta, "merged_with_next") if pre is None else P.Metaspace(prepend_scheme="never")
        special = ["<unk>"] + [f"<0x{b:02X}>" for b in range(256)] if not by_bytes else ["<|endoftext|>", "<|im_start|>"]
        t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=3000, show_progress=False, special_tokens=special,
                                                         initial_alphabet=P.ByteLevel.alphabet() if by_bytes else []))
        file = json.loads(t.to_str())
        if not by_bytes:
            file["added_tokens"] = file["added_tokens"][:1]
        t = Tokenizer.from_str(json.dumps(file))
        if pre:
            t.pre_tokenizer = pre
        else:
            file = json.loads(t.to_str())
            file["pre_tokenizer"] = None
            t = Tokenizer.from_str(json.dumps(file))
        t.decoder = decoders.ByteLevel() if by_bytes else decoders.Sequence([decoders.Replace(meta, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        t.add_special_tokens([AddedToken("<|im_end|>", lstrip=True, rstrip=True, normalized=False)])
        t.add_tokens([AddedToken("映画", normalized=True), AddedToken("Matrix", single_word=True, normalized=False), AddedToken("movies", rstrip=True, normalized=True)])
        yield name, t


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--gguf", action="store_true")
    arguments.add_argument("--foreign", action="store_true")
    arguments.add_argument("--synthetic", action="store_true")
    arguments.add_argument("--speed", metavar="CONVERSATIONS")
    arguments.add_argument("file")
    arguments.add_argument("encode")
    a = arguments.parse_args()

    def conversations(path):
        for line in subprocess.run(["zstdcat", path], capture_output=True, check=True).stdout.split(b"\n"):
            for turn in json.loads(line)["turns"] if line else []:
                yield turn["text"]

    spoken = [t.encode() for t in conversations(a.speed)] if a.speed else []
    texts = list(mixed())
    old_texts = list(mixed(unicodedata.ucd_3_2_0))
    wrong = 0
    if a.synthetic:
        with tempfile.TemporaryDirectory() as folder:
            for name, reference in synthetic(list(conversations(a.file))):
                path = os.path.join(folder, "tokenizer.json")
                reference.save(path)
                some = old_texts if reference.normalizer else texts
                wrong += compare(name, reference, a.encode, path, some, "-f")
                again = os.path.join(folder, "again.json")
                encode(a.encode, path, some[:1], "-f", "-w", again)
                wrong += encode(a.encode, path, some, "-f") != encode(a.encode, again, some)
                if a.speed and name in ("llama-3", "qwen-2", "llama-2"):
                    speed(name, reference, a.encode, path, spoken, "-f")
    else:
        reference = of_gguf(a.file) if a.gguf else Tokenizer.from_file(a.file)
        flags = ["-f"] if a.gguf or a.foreign else []
        texts = old_texts if reference.normalizer else texts
        wrong += compare(os.path.basename(a.file), reference, a.encode, a.file, texts if flags else list(lines()), *flags)
        if flags:
            with tempfile.TemporaryDirectory() as folder:
                again = os.path.join(folder, "again.json")
                encode(a.encode, a.file, texts[:1], "-f", "-w", again)
                wrong += encode(a.encode, a.file, texts, "-f") != encode(a.encode, again, texts)
                wrong += compare("the same, written and read by both", Tokenizer.from_file(again), a.encode, again, texts)
        if a.speed:
            speed("dialogues", reference, a.encode, a.file, spoken, *flags)
            speed("mixed", reference, a.encode, a.file, texts, *flags)
    return wrong > 0


raise SystemExit(main())
