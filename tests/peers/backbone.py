#!/usr/bin/env python3
"""Logits and gradients of a backbone beside transformers', as ||a - b|| / ||b|| a tensor.

    backbone.py PROGRAM [GGUF]      PROGRAM: build/tests/peer_backbone

Tiny random Llama, Qwen2 and Qwen3 models (tied and not, bf16, f16 and f32, in one file and in
several, Llama 3's rope), the same as GGUF (F32, F16, BF16, Q8_0, Q4_0, Q4_1), and the GGUF named, each against
transformers in fp32 with the same weights.  Prints the worst tensor of each; fails above 1e-3.
Needs torch, transformers, gguf, safetensors.
"""
import pathlib, subprocess, sys, tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

SMALL = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=256, max_position_embeddings=16384, initializer_range=0.3)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
GGUF_NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
              "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
              "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def small_models():
    torch.manual_seed(1)
    untied = dict(SMALL, tie_word_embeddings=False)
    tied = dict(SMALL, tie_word_embeddings=True)
    yield "llama tied", LlamaForCausalLM(LlamaConfig(**tied, rms_norm_eps=1e-5))
    yield "llama untied", LlamaForCausalLM(LlamaConfig(**untied))
    yield "llama 3 rope", LlamaForCausalLM(LlamaConfig(**tied, rope_parameters=dict(LLAMA3, rope_theta=5e5)))
    yield "qwen2", Qwen2ForCausalLM(Qwen2Config(**untied))
    yield "qwen3 wide heads", Qwen3ForCausalLM(Qwen3Config(**tied, head_dim=32))


def randomise(model):
    """Biases and norms start at 0 and 1: then a forgotten one would not be seen."""
    for name, p in model.named_parameters():
        if name.endswith("bias") or "norm" in name:
            p.data += 0.3 * torch.randn_like(p)


def reference(model, sequences):
    """Logits and gradients of the mean loss of each next token, without a cache."""
    model = model.float().eval()
    model.zero_grad()
    logits, loss, count = [], 0, 0
    for tokens in sequences:
        out = model(torch.tensor([tokens]), use_cache=False).logits[0]
        logits.append(out.detach())
        loss = loss + torch.nn.functional.cross_entropy(out[:-1], torch.tensor(tokens[1:]), reduction="sum")
        count += len(tokens) - 1
    (loss / count).backward()
    found = {"logits": torch.cat(logits)}
    for name, p in model.named_parameters():
        found[name] = p.grad
    return found


def ours(program, path, sequences, folder):
    tokens, out = folder / "tokens.txt", folder / "out.safetensors"
    tokens.write_text("".join(" ".join(map(str, s)) + "\n" for s in sequences))
    subprocess.run([program, str(path), str(tokens), str(out)], check=True, stdout=subprocess.DEVNULL)
    return load_file(out)


def compare(what, found, wanted):
    worst, where = 0, ""
    for name, want in wanted.items():
        got = found[name].reshape(want.shape).double()
        length = want.double().norm()
        if length < 1e-7 * wanted["logits"].double().norm():
            length = torch.tensor(1.0)  # a bias of k changes nothing: its gradient is rounding
        off = float((got - want.double()).norm() / length)
        if name == "logits":
            logits = off
        elif off > worst:
            worst, where = off, name
    print(f"{what:28} logits {logits:.2e}   gradients {worst:.2e} ({where})", flush=True)
    return max(worst, logits) <= 1e-3


def turn(weight, heads):
    """convert_hf_to_gguf.py, LlamaModel.permute."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name in ("lm_head.weight", "model.norm.weight"):
        return {"l": "output.weight", "m": "output_norm.weight"}[name[0]]
    _, _, layer, *middle, end = name.split(".")
    return f"blk.{layer}.{GGUF_NAMES['.'.join(middle)]}.{end}"


def write_gguf(model, path, kind):
    """The model as `kind`; its own weights become what the file holds."""
    c, family = model.config, model.config.model_type
    w = gguf.GGUFWriter(str(path), family)
    w.add_block_count(c.num_hidden_layers)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    if getattr(c, "head_dim", None):
        w.add_key_length(c.head_dim)
        w.add_value_length(c.head_dim)
    if c.rope_parameters["rope_type"] == "llama3":
        half = np.arange(0, c.head_dim or c.hidden_size // c.num_attention_heads, 2)
        plain = c.rope_parameters["rope_theta"] ** -(half / (2 * len(half)))
        w.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32))
    for name, p in model.named_parameters():
        data = p.detach().float().numpy()
        type_ = kind if data.ndim > 1 else gguf.GGMLQuantizationType.F32
        heads = {"q_proj": c.num_attention_heads, "k_proj": c.num_key_value_heads}.get(name.split(".")[-2])
        turned = heads if family == "llama" and heads else None
        coded = gguf.quants.quantize(turn(data, turned) if turned else data, type_)
        w.add_tensor(gguf_name(name), coded, raw_dtype=type_)
        back = gguf.quants.dequantize(gguf.quants.quantize(data, type_), type_)
        p.data = torch.from_numpy(np.array(back).reshape(data.shape))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    program, good = sys.argv[1], True
    rng = np.random.default_rng(3)
    sequences = [rng.integers(0, 256, n).tolist() for n in (40, 7, 100)]
    with tempfile.TemporaryDirectory() as scratch:
        for i, (what, model) in enumerate(small_models()):
            randomise(model)
            type_ = (torch.float32, torch.bfloat16, torch.float16)[i % 3]
            model = model.to(type_)
            folder = pathlib.Path(scratch) / f"model{i}"
            model.save_pretrained(folder, **({"max_shard_size": "200KB"} if i % 2 else {}))
            model = type(model).from_pretrained(folder, dtype=torch.float32)  # .to() rounds rope's turns, too
            shards = len(list(folder.glob("*.safetensors")))
            good &= compare(f"{what}, {str(type_)[6:]}, {shards} files", ours(program, folder, sequences, folder),
                            reference(model, sequences))
            for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"):
                if i not in (0, 2, 3, 4) or (i != 0 and kind not in ("F32", "Q8_0")):
                    continue
                path = folder / f"{kind}.gguf"
                write_gguf(model, path, getattr(gguf.GGMLQuantizationType, kind))
                good &= compare(f"{what}, gguf {kind}", ours(program, path, sequences, folder), reference(model, sequences))
        for path in sys.argv[2:]:
            model = load_gguf(path)
            folder = pathlib.Path(scratch)
            long = [tokens_of(path, text) for text in TEXTS]
            good &= compare(pathlib.Path(path).name, ours(program, path, long, folder), reference(model, long))
    sys.exit(0 if good else 1)


# Plain text: on random tokens gradients of a real model are so ill-conditioned that transformers in
# fp32 is itself up to 1.2e-3 from transformers in fp64.
TEXTS = ("I liked Alien and The Thing because they take their time. Which films should I watch next, and why? "
         "I have seen most of what John Carpenter made, so please leave his films out of the list.",
         "The quick brown fox jumps over the lazy dog while it rains in Paris.")


def tokens_of(path, text):
    """The longest token that fits, again and again: what the text is cut into does not matter here."""
    words = gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"].contents()
    place, text, out = {w: i for i, w in enumerate(words)}, text.replace(" ", "\u0120"), []
    while text:
        size = next(n for n in range(24, 0, -1) if text[:n] in place)
        out.append(place[text[:size]])
        text = text[size:]
    return out


def load_gguf(path):
    """A llama as transformers has it, from the file dequantised by gguf's own library."""
    r = gguf.GGUFReader(path)
    key = lambda name: r.fields[name].contents()
    heads, kv = key("llama.attention.head_count"), key("llama.attention.head_count_kv")
    tensors = {t.name: np.array(gguf.quants.dequantize(t.data, t.tensor_type)) for t in r.tensors}
    model = LlamaForCausalLM(LlamaConfig(
        hidden_size=key("llama.embedding_length"), intermediate_size=key("llama.feed_forward_length"),
        num_hidden_layers=key("llama.block_count"), num_attention_heads=heads, num_key_value_heads=kv,
        vocab_size=tensors["token_embd.weight"].shape[0], rms_norm_eps=key("llama.attention.layer_norm_rms_epsilon"),
        rope_theta=key("llama.rope.freq_base"), tie_word_embeddings="output.weight" not in tensors))
    assert model.config.rope_parameters["rope_theta"] == key("llama.rope.freq_base")
    for name, p in model.named_parameters():
        data = tensors[gguf_name(name)]
        n = {"q_proj": heads, "k_proj": kv}.get(name.split(".")[-2])
        if n:  # back: the two axes change places again
            data = data.reshape(n, data.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(data.shape)
        assert data.shape == tuple(p.shape), name
        p.data = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
    return model


main()
