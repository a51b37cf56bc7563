"""Training steps of a GPT in PyTorch, as `make bench-train` measures them.

The model is the one that gradus trains: GPT-2's blocks, learned positions, tied
embeddings, inner layers that see only the kept tokens of a row. Attention is
torch's own, AdamW is the fused one. Batches and kept positions are drawn before
the clock starts. Prints one line of JSON: what every step took.
"""

import argparse
import json
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        """What the block adds to x [rows, tokens, width]."""
        b, s, d = x.shape
        q, k, v = (t.view(b, s, self.heads, d // self.heads).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(d, 2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        first = self.out(mixed.transpose(1, 2).reshape(b, s, d))
        return first + self.down(F.gelu(self.up(self.norm2(x + first)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.tokens, self.places = nn.Embedding(a.vocabulary, a.width), nn.Embedding(a.length, a.width)
        self.blocks = nn.ModuleList(Block(a.width, a.heads) for _ in range(a.layers))
        self.norm = nn.LayerNorm(a.width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, inputs, labels, kept):
        """The mean loss; kept is [layers - 2, rows, kept, width] of places, or None."""
        x = self.tokens(inputs) + self.places.weight[: inputs.shape[1]]
        for i, block in enumerate(self.blocks):
            if kept is None or i in (0, len(self.blocks) - 1):
                x = x + block(x)
            else:
                added = block(x.gather(1, kept[i - 1]))
                x = x.scatter_add(1, kept[i - 1], added.to(x.dtype))  # bfloat16, if that is computed in
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def main():
    p = argparse.ArgumentParser()
    for name in ("layers", "width", "heads", "vocabulary", "length", "rows", "threads", "seed"):
        p.add_argument("--" + name, type=int, required=True)
    p.add_argument("--schedule", required=True, help="length:kept of every step, separated by commas")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--bfloat16", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = GPT(a).to(device)
    parameters = sum(p.numel() for p in model.parameters())
    matrices = [p for n, p in model.named_parameters() if p.dim() > 1 and "tokens" not in n and "places" not in n]
    kinds = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in kinds]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=True,
    )
    run = torch.compile(model) if a.compile else model
    steps = []
    for shape in a.schedule.split(","):
        length, keep = map(int, shape.split(":"))
        text = torch.randint(a.vocabulary, (a.rows, length + 1), device=device)
        kept = None
        if keep < length:
            order = torch.rand(a.layers - 2, a.rows, length, device=device).argsort(-1)[..., :keep].sort(-1).values
            kept = order.unsqueeze(-1).expand(-1, -1, -1, a.width).contiguous()
        if device == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=a.bfloat16):
            loss = run(text[:, :-1], text[:, 1:], kept)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        steps.append({"length": length, "kept": keep, "seconds": time.perf_counter() - begin})
    how = f"PyTorch {torch.__version__}, {'torch.compile' if a.compile else 'eager'}, {a.threads} threads" + (", bfloat16" if a.bfloat16 else "")
    if device == "cuda":
        how += ", on " + torch.cuda.get_device_name()
    print(json.dumps({"library": how, "parameters": parameters, "steps": steps}))


main()
