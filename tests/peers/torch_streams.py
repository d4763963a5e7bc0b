"""The peer of bench_streams: transformers' Llama in bf16 at SmolLM2-135M's shape: torch_streams.py [ROUNDS]

Random weights: they cost the same. Tokens/s read (a prompt of 512), tokens/s written by 1 and by 16 sequences behind 200
tokens each (greedy, text head included), milliseconds from a prompt of 200 to its first token. The best of several rounds.
"""
import json, sys, time

import torch, transformers
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(2)
torch.manual_seed(1)
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
config = LlamaConfig(hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
                     vocab_size=49152, rope_theta=100000, max_position_embeddings=8192, tie_word_embeddings=True)
model = LlamaForCausalLM(config).to(torch.bfloat16).eval()


def best(work, rounds=ROUNDS):
    took = []
    for _ in range(rounds):
        took.append(work())
    return min(took)


@torch.inference_mode()
def read(count):
    prompt = torch.randint(0, 49152, (1, count))
    start = time.perf_counter()
    out = model(prompt, use_cache=True, logits_to_keep=1)
    out.logits.argmax()
    return time.perf_counter() - start


@torch.inference_mode()
def write(streams, steps=48):
    out = model(torch.randint(0, 49152, (streams, 200)), use_cache=True, logits_to_keep=1)
    cache, last = out.past_key_values, out.logits[:, -1:].argmax(-1)
    start = time.perf_counter()
    for _ in range(steps):
        out = model(last, past_key_values=cache, use_cache=True)
        cache, last = out.past_key_values, out.logits[:, -1:].argmax(-1)
    return (time.perf_counter() - start) / steps


read(512)
print(json.dumps({"policy": "smollm2", "prefill_per_s": 512 / best(lambda: read(512)), "decode_1_per_s": 1 / best(lambda: write(1)),
                  "decode_16_per_s": 16 / best(lambda: write(16)), "first_token_ms": 1e3 * best(lambda: read(200)),
                  "torch": torch.__version__, "transformers": transformers.__version__}))
