"""Writes gpt, rotary, bert and vit.safetensors: what TestVectors holds the graphs to.

The models here are written from the papers in plain PyTorch operations, one row at
a time and in float64, with gradients by its automatic differentiation. Run:

    python model/testdata/vectors.py model/testdata

A file holds cases. Metadata CASE is the case's configuration as JSON; the tensors
CASE/inputs and so on are the batch (integers as floats); CASE/losses, CASE/correct
and CASE/logits are results; CASE/gradients is [parameters, 9], in the order of the
metadata "order": the gradient's norm, then its dot products with eight vectors of
signs. Weights, signs and batches come from the hash below, on both sides.
"""

import json
import math
import sys

import torch
from safetensors.torch import save_file

F = torch.nn.functional
M32 = 0xFFFFFFFF


def mix(x):  # the finalizer of MurmurHash3
    x &= M32
    x = ((x ^ x >> 16) * 0x85EBCA6B) & M32
    x = ((x ^ x >> 13) * 0xC2B2AE35) & M32
    return x ^ x >> 16


def name_hash(name):  # FNV-1a
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & M32
    return h


def uniform(name, n):  # in [0, 1)
    seed = name_hash(name)
    return torch.tensor([mix(seed + k * 0x9E3779B9) / 2**32 for k in range(n)], dtype=torch.float64)


def integers(name, n, below):
    return [int(x * below) for x in uniform(name, n)]


# The order and the shapes of the weights. Matrices are [in, out].
def norm(name, d):
    return [(name + ".weight", [d]), (name + ".bias", [d])]


def linear(name, i, o):
    return [(name + ".weight", [i, o]), (name + ".bias", [o])]


GPT_NAMES = ("transformer.h.%d.", "ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
BERT_NAMES = ("bert.encoder.layer.%d.", "attention.output.LayerNorm", "attention.self.query_key_value",
              "attention.output.dense", "output.LayerNorm", "intermediate.dense", "output.dense")
VIT_NAMES = ("vit.encoder.layer.%d.", "layernorm_before", "attention.attention.query_key_value",
             "attention.output.dense", "layernorm_after", "intermediate.dense", "output.dense")


def shapes(c):
    d, inner = c["width"], c["inner"]
    kind = c.get("kind", "gpt")
    head = []
    if kind == "gpt":
        names = GPT_NAMES
        out = [("transformer.wte.weight", [c["vocabulary"], d])]
        if c.get("positions") != "rotary":
            out += [("transformer.wpe.weight", [c["context"], d])]
        head += norm("transformer.ln_f", d)
        if c.get("untied"):
            head += [("lm_head.weight", [c["vocabulary"], d])]
    elif kind == "bert":
        names = BERT_NAMES
        out = [("bert.embeddings.word_embeddings.weight", [c["vocabulary"], d]),
               ("bert.embeddings.position_embeddings.weight", [c["context"], d]),
               ("bert.embeddings.token_type_embeddings.weight", [2, d])]
        out += norm("bert.embeddings.LayerNorm", d)
        head += linear("cls.predictions.transform.dense", d, d) + norm("cls.predictions.transform.LayerNorm", d)
        head += [("cls.predictions.bias", [c["vocabulary"]])]
        if c.get("untied"):
            head += [("cls.predictions.decoder.weight", [c["vocabulary"], d])]
    else:
        names = VIT_NAMES
        i = c["image"]
        out = [("vit.embeddings.cls_token", [1, d]), ("vit.embeddings.position_embeddings", [c["context"], d])]
        out += linear("vit.embeddings.patch_embeddings.projection", i["patch"] ** 2 * i["channels"], d)
        head += norm("vit.layernorm", d) + linear("classifier", d, c["classes"])
    for l in range(c["layers"]):
        p = [names[0] % l + n for n in names[1:]]
        out += norm(p[0], d) + linear(p[1], d, 3 * d) + linear(p[2], d, d)
        out += norm(p[3], d) + linear(p[4], d, inner) + linear(p[5], inner, d)
    return out + head, names


def weight(name, shape):
    values = (uniform(name, math.prod(shape)) - 0.5) * 0.8
    if name.endswith((".weight",)) and len(shape) == 1:  # a norm's scale
        values = values + 1
    # Both sides begin with the same float32 numbers.
    return values.float().double().reshape(shape).requires_grad_()


# Dropout: which elements survive, from the tokens' words of noise.
def survivors(words_a, words_b, p):
    keep = []
    for a in words_a:
        line = []
        for b in words_b:
            x = ((a ^ b) * 0x85EBCA6B) & M32
            x = ((x ^ x >> 15) * 0xC2B2AE35) & M32
            line.append(0.0 if x < round(p * 2**32) else 1 / (1 - p))
        keep.append(line)
    return torch.tensor(keep, dtype=torch.float64)


class Model:
    def __init__(self, c):
        self.c = c
        self.kind = c.get("kind", "gpt")
        listed, self.names = shapes(c)
        self.order = [n for n, _ in listed]
        self.w = {n: weight(n, s) for n, s in listed}
        self.eps = 1e-5 if self.kind == "gpt" else 1e-12

    def linear(self, x, name):
        return x @ self.w[name + ".weight"] + self.w[name + ".bias"]

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def drop(self, x, noise, site):
        if noise is None:
            return x
        tokens = [mix(n ^ mix(site + 1)) for n in noise]
        columns = [mix(i ^ 0x9E3779B9) for i in range(x.shape[1])]
        return x * survivors(tokens, columns, self.c["dropout"])

    def turn(self, x, positions):  # [tokens, e]
        e = x.shape[1]
        out = []
        for t, p in enumerate(positions):
            first, second = x[t, : e // 2], x[t, e // 2 :]
            angle = torch.tensor([p * 10000 ** (-2 * i / e) for i in range(e // 2)], dtype=torch.float64)
            cos, sin = angle.cos(), angle.sin()
            out.append(torch.cat([first * cos - second * sin, second * cos + first * sin]))
        return torch.stack(out)

    def attention(self, x, name, seen, layer):
        d, h = self.c["width"], self.c["heads"]
        e = d // h
        qkv = self.linear(x, name)
        heads = []
        for i in range(h):
            q, k, v = (qkv[:, part * d + i * e : part * d + (i + 1) * e] for part in range(3))
            if self.c.get("positions") == "rotary":
                q, k = self.turn(q, seen["positions"]), self.turn(k, seen["positions"])
            n = x.shape[0]
            visible = torch.tensor([[seen["documents"][a] == seen["documents"][b] and (self.kind != "gpt" or b <= a)
                                     for b in range(n)] for a in range(n)])
            scores = (q @ k.T / math.sqrt(e)).masked_fill(~visible, -math.inf)
            weights = scores.softmax(-1)
            if seen["noise"] is not None:
                queries = [mix(mix(w ^ mix(4 * layer + 2)) ^ mix(i)) for w in seen["noise"]]
                keys = [mix(w ^ mix(4 * layer + 3)) for w in seen["noise"]]
                weights = weights * survivors(queries, keys, self.c["dropout"])
            heads.append(weights @ v)
        return torch.cat(heads, 1)

    def block(self, x, layer, seen):
        norm1, qkv, out, norm2, up, down = (self.names[0] % layer + n for n in self.names[1:])
        gelu = (lambda t: F.gelu(t, approximate="tanh")) if self.kind == "gpt" else F.gelu

        def attend(t):
            return self.drop(self.linear(self.attention(t, qkv, seen, layer), out), seen["noise"], 4 * layer + 3)

        def mlp(t):
            return self.drop(self.linear(gelu(self.linear(t, up)), down), seen["noise"], 4 * layer + 4)

        if self.kind == "bert":
            x = self.norm(x + attend(x), norm1)
            return self.norm(x + mlp(x), norm2)
        x = x + attend(self.norm(x, norm1))
        return x + mlp(self.norm(x, norm2))

    def embed(self, row):
        w = self.w
        if self.kind == "vit":
            i = self.c["image"]
            h, wd, ch, p = i["height"], i["width"], i["channels"], i["patch"]
            pixels = torch.tensor(row["pixels"], dtype=torch.float64).reshape(h, wd, ch) / 127.5 - 1
            patches = [pixels[y : y + p, x : x + p].reshape(-1) for y in range(0, h, p) for x in range(0, wd, p)]
            projected = self.linear(torch.stack(patches), "vit.embeddings.patch_embeddings.projection")
            return torch.cat([w["vit.embeddings.cls_token"], projected]) + w["vit.embeddings.position_embeddings"]
        if self.kind == "bert":
            at = "bert.embeddings."
            x = w[at + "word_embeddings.weight"][row["inputs"]] + w[at + "position_embeddings.weight"][row["positions"]]
            return self.norm(x + w[at + "token_type_embeddings.weight"][row["segments"]], at + "LayerNorm")
        x = w["transformer.wte.weight"][row["inputs"]]
        if self.c.get("positions") != "rotary":
            x = x + w["transformer.wpe.weight"][row["positions"]]
        return x

    def states(self, row):
        x = self.drop(self.embed(row), row["noise"], 0)
        for layer in range(self.c["layers"]):
            kept = row["kept"].get(layer, list(range(x.shape[0])))
            seen = {k: None if row[k] is None else [row[k][i] for i in kept] for k in ("documents", "positions", "noise")}
            part = self.block(x[kept], layer, seen)
            x = torch.stack([part[kept.index(i)] if i in kept else x[i] for i in range(x.shape[0])])
        return x

    def head(self, x):
        if self.kind == "vit":
            return self.linear(self.norm(x, "vit.layernorm"), "classifier")
        if self.kind == "bert":
            x = self.norm(F.gelu(self.linear(x, "cls.predictions.transform.dense")), "cls.predictions.transform.LayerNorm")
            table = "cls.predictions.decoder.weight" if self.c.get("untied") else "bert.embeddings.word_embeddings.weight"
            return x @ self.w[table].T + self.w["cls.predictions.bias"]
        table = "lm_head.weight" if self.c.get("untied") else "transformer.wte.weight"
        return self.norm(x, "transformer.ln_f") @ self.w[table].T

    def logits(self, row):
        x = self.states(row)
        if self.kind == "vit":
            x = x[:1]
        elif row["predicted"] is not None:
            x = x[row["predicted"]]
        return self.head(x)


ROWS, LENGTH, KEPT = 2, 6, 3
DOCUMENTS = {  # of each row: document and position of each token
    "documents": [([0, 0, 1, 1, 1, -1], [0, 1, 0, 1, 2, 0]), ([0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 0, 1])],
    "padding": [([0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 0, 0]), ([0, 0, 0, -1, -1, -1], [0, 1, 2, 0, 0, 0])],
}


def batch(c, case, rows, masks):
    kind = c.get("kind", "gpt")
    length = c["context"] if kind == "vit" else LENGTH
    tensors, out = {}, []
    for r in range(rows):
        tag = f"{kind}/{case}/{r}/"
        row = {"documents": [0] * length, "positions": list(range(length)), "noise": None, "kept": {},
               "predicted": None, "segments": [0] * length}
        if kind == "vit":
            i = c["image"]
            row["pixels"] = integers(tag + "pixels", i["height"] * i["width"] * i["channels"], 256)
            row["labels"] = integers(tag + "labels", 1, c["classes"])
        else:
            row["inputs"] = integers(tag + "inputs", length, c["vocabulary"])
            row["labels"] = integers(tag + "labels", length, c["vocabulary"])
            row["labels"][r] = -1  # one that predicts nothing
        if kind == "bert":
            row["segments"] = integers(tag + "segments", length, 2)
            if case != "plain":
                row["predicted"] = [1, 2, 4][:2] + [5 - r]
        if masks:
            row["documents"], row["positions"] = DOCUMENTS[masks][r]
        if c.get("dropout"):
            row["noise"] = [name_hash(f"{tag}noise{k}") for k in range(length)]
        shares = c.get("drop", [1] * len(c.get("routed", [])))
        for n, layer in enumerate(c.get("routed", [])):
            k = length - round(shares[n] * (length - KEPT))
            ranks = uniform(tag + f"kept{layer}", length)
            if c.get("shared") and layer - 1 in row["kept"]:
                row["kept"][layer] = row["kept"][layer - 1]
            else:
                row["kept"][layer] = sorted(sorted(range(length), key=lambda i: ranks[i])[:k])
        out.append(row)

    def put(name, lists):
        tensors[f"{case}/{name}"] = torch.tensor(lists, dtype=torch.float32)

    for name in ("pixels", "inputs", "labels", "segments", "predicted"):
        if out[0].get(name) is not None and not (name == "segments" and kind != "bert"):
            put(name, [row[name] for row in out])
    if kind == "vit":
        put("labels", [row["labels"][0] for row in out])
    if masks:
        put("documents", [row["documents"] for row in out])
        put("positions", [row["positions"] for row in out])
    if c.get("dropout"):  # high and low halves, which float32 holds exactly
        put("noise", [[[n >> 16, n & 0xFFFF] for n in row["noise"]] for row in out])
    for n, layer in enumerate(c.get("routed", [])):
        put(f"kept{n}", [row["kept"][layer] for row in out])
    return tensors, out


def run(c, case, masks):
    model = Model(c)
    tensors, rows = batch(c, case, ROWS, masks)
    losses, correct, logits = [], [], []
    for row in rows:
        scores = model.logits(row)
        labels = row["labels"]
        if row["predicted"] is not None:
            labels = [labels[i] for i in row["predicted"]]
        for i, label in enumerate(labels):
            losses.append(F.cross_entropy(scores[i], torch.tensor(label)) if label >= 0 else scores[i].sum() * 0)
            correct.append(float(label == int(scores[i].argmax())))
        # Logits at the last place of a row, or the class.
        if model.kind == "vit":
            logits.append(scores[0])
        else:
            logits.append(model.head(model.states(row)[-1:])[0])
    torch.stack(losses).sum().backward()
    gradients = []
    for name in model.order:
        g = model.w[name].grad.reshape(-1)
        line = [g.norm()]
        for k in range(8):
            signs = torch.where(uniform(f"{name}/sign{k}", len(g)) < 0.5, -1.0, 1.0).double()
            line.append(g @ signs)
        gradients.append(torch.stack(line))
    tensors[f"{case}/losses"] = torch.stack(losses).detach().float()
    tensors[f"{case}/correct"] = torch.tensor(correct)
    tensors[f"{case}/logits"] = torch.stack(logits).detach().float()
    tensors[f"{case}/gradients"] = torch.stack(gradients).float()
    return tensors, model.order


TEXT = {"vocabulary": 11, "context": 7, "layers": 4, "width": 12, "heads": 2, "inner": 20}
KINDS = {
    "gpt": TEXT,
    "rotary": TEXT | {"positions": "rotary", "untied": True},
    "bert": TEXT | {"kind": "bert"},
    "vit": {"kind": "vit", "vocabulary": 0, "context": 7, "layers": 4, "width": 12, "heads": 3, "inner": 20, "classes": 5,
            "image": {"height": 4, "width": 6, "channels": 3, "patch": 2}},
}
CASES = {  # what a case adds to the configuration, and how its rows are masked
    "plain": ({}, None),
    "documents": ({}, "documents"),
    "padding": ({}, "padding"),
    "routed": ({"routed": [1, 2]}, None),
    "routed documents": ({"routed": [1, 2]}, "documents"),
    "routed padding": ({"routed": [0, 3]}, "padding"),
    "shared": ({"routed": [0, 2, 3], "shared": True}, None),
    "shared documents": ({"routed": [1, 2], "shared": True}, "documents"),
    "drop": ({"routed": [1, 2], "drop": [0.34, 1.4]}, "documents"),
    "dropout": ({"routed": [1, 2], "dropout": 0.3}, "documents"),
}

for kind, base in KINDS.items():
    tensors, metadata = {}, {}
    for case, (more, masks) in CASES.items():
        if kind == "vit" and masks:
            if case in ("drop", "dropout"):
                masks = None
            else:
                continue
        c = base | more
        added, order = run(c, case, masks)
        tensors |= added
        metadata[case] = json.dumps(c)
        metadata["order"] = json.dumps(order)
    save_file(tensors, f"{sys.argv[1]}/{kind}.safetensors", metadata)
