"""The peer of bench_train: the same policy, losses and optimiser in PyTorch, at its best settings.

usage: torch_train.py OUR_JSON WINDOWS DIM LAYERS HEADS FFN SECONDS

OUR_JSON is bench_train's line (items, content, levels, tiles).  Tries batch sizes, thread counts, eager
and torch.compile; prints one JSON line with positions/s of the best and of every try.
"""
import json, math, os, sys, time

os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1073741824")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "1073741824")
import torch
import torch.nn.functional as F
from torch import nn

ours = json.loads(sys.argv[1])
lengths = [int(x) for x in open(sys.argv[2])]
DIM, LAYERS, HEADS, FFN = map(int, sys.argv[3:7])
SECONDS = float(sys.argv[7])
ITEMS, CONTENT, LEVELS, TILES = ours["items"], ours["content"], ours["levels"], ours["tiles"]
torch.manual_seed(1)
content = torch.randn(ITEMS, CONTENT) / CONTENT**0.5
codes = torch.randint(0, TILES, (ITEMS, LEVELS))


def rope(x, cosine, sine):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(DIM, 1e-5), nn.RMSNorm(DIM, 1e-5)
        self.qkv = nn.Linear(DIM, 3 * DIM, bias=False)
        self.o = nn.Linear(DIM, DIM, bias=False)
        self.gate_up = nn.Linear(DIM, 2 * FFN, bias=False)
        self.down = nn.Linear(FFN, DIM, bias=False)

    def forward(self, x, cosine, sine):
        B, T, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(rope(q, cosine, sine), rope(k, cosine, sine), v, is_causal=True)
        x = x + F.dropout(self.o(a.transpose(1, 2).reshape(B, T, DIM)), 0.3)
        g, u = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + F.dropout(self.down(F.silu(g) * u), 0.3)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.tile_in = nn.Parameter(0.05 * torch.randn(LEVELS, TILES, DIM))
        self.content_in = nn.Linear(CONTENT, DIM, bias=False)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(DIM, 1e-5)
        self.find_query = nn.Linear(DIM, DIM, bias=False)
        self.find_content = nn.Linear(CONTENT, DIM, bias=False)
        self.own = nn.Embedding(ITEMS, DIM)
        nn.init.normal_(self.own.weight, std=0.05)
        self.name_start = nn.Linear(DIM, DIM, bias=False)
        self.tile_out = nn.Parameter(0.05 * torch.randn(LEVELS, TILES, DIM))
        self.up = nn.ModuleList(nn.Linear(DIM, DIM, bias=False) for _ in range(LEVELS))
        self.down = nn.ModuleList(nn.Linear(DIM, DIM, bias=False) for _ in range(LEVELS))
        self.tile = nn.Parameter(0.05 * torch.randn(LEVELS, TILES, DIM))
        half = DIM // HEADS // 2
        angle = torch.arange(64)[:, None] * 10000 ** (-torch.arange(half)[None] / half)
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())

    def forward(self, items, targets, real):
        T = items.shape[1]
        c = codes[items]
        x = self.content_in(content[items]) + DIM**0.5 * self.own(items)
        for l in range(LEVELS):
            x = x + self.tile_in[l][c[..., l]]
        x = F.dropout(x, 0.3)
        for block in self.blocks:
            x = block(x, self.cosine[:T], self.sine[:T])
        z = self.norm(x)[real]  # padding costs nothing beyond the trunk
        t = targets[real]
        loss = F.cross_entropy(self.find_query(z) @ (self.own.weight + self.find_content(content)).T, t)
        h = self.name_start(z)
        ct = codes[t]
        for l in range(LEVELS):
            loss = loss + 0.3 * F.cross_entropy(h @ self.tile_out[l].T, ct[:, l])
            h = h + self.down[l](F.silu(self.up[l](h) + self.tile[l][ct[:, l]]))
        return loss


def batches(batch):
    """Windows of like length together, so that little is padding."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    out = []
    for at in range(0, len(order), batch):
        part = [lengths[i] for i in order[at : at + batch]]
        real = torch.arange(max(part))[None] < torch.tensor(part)[:, None]
        out.append((torch.randint(0, ITEMS, real.shape), torch.randint(0, ITEMS, real.shape), real, sum(part)))
    return out


def speed(batch, threads, compiled):
    torch.set_num_threads(threads)
    model = Policy()
    step_model = torch.compile(model, dynamic=True) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.98), fused=True)
    data = batches(batch)
    generator = torch.Generator().manual_seed(1)

    def step(one):
        loss = step_model(one[0], one[1], one[2])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    warm = range(len(data)) if compiled else range(0, len(data), max(1, len(data) // 3))
    for at in warm:  # a compiled model sees every shape once before the clock starts
        step(data[at])
    done, start = 0, time.time()
    while time.time() - start < SECONDS:
        one = data[int(torch.randint(0, len(data), (1,), generator=generator))]
        step(one)
        done += one[3]
    return done / (time.time() - start)


tries = {}
for batch in (16, 32, 64, 128, 512):
    for threads in (1, 2):
        tries[f"eager batch {batch} threads {threads}"] = speed(batch, threads, False)
best = max(tries, key=tries.get)
words = best.split()
try:
    tries[best.replace("eager", "compiled")] = speed(int(words[2]), int(words[4]), True)
except Exception as error:  # no compiler for it on this machine: say so, keep the eager figure
    tries["compiled failed: " + type(error).__name__] = 0.0
best = max(tries, key=tries.get)
print(json.dumps({"positions_per_s": tries[best], "best": best, "torch": torch.__version__, "tries": {k: round(v) for k, v in tries.items()}}))
