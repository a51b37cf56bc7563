"""Writes testdata/hub: tiny models as Hugging Face's transformers saves them, each
with inputs and the logits that transformers computes from them.

    python hub.py            writes the files (transformers 5.23.0, torch 2.15.0)
    python hub.py check DIR  opens the checkpoint or export in DIR and prints what
                             transformers made of it; fails if a tensor is missing
                             or not used
"""

import json
import os
import sys

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hub")
SIZE = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2)
CLASSES = {
    "gpt2": hf.GPT2LMHeadModel,
    "gpt_neox": hf.GPTNeoXForCausalLM,
    "bert": hf.BertForMaskedLM,
    "vit": hf.ViTForImageClassification,
}


def models():
    gpt2 = dict(vocab_size=31, n_positions=12, n_embd=8, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None)
    yield "gpt2", hf.GPT2Config(**gpt2)
    yield "gpt2-untied", hf.GPT2Config(**dict(gpt2, n_layer=1), n_inner=12, tie_word_embeddings=False, layer_norm_epsilon=1e-3)
    neox = dict(SIZE, vocab_size=31, max_position_embeddings=12, intermediate_size=32, hidden_act="gelu_new", use_parallel_residual=False,
                rotary_pct=1.0, bos_token_id=None, eos_token_id=None)
    yield "neox", hf.GPTNeoXConfig(**neox, tie_word_embeddings=True)
    yield "neox-untied", hf.GPTNeoXConfig(**dict(neox, num_hidden_layers=1), tie_word_embeddings=False)
    bert = dict(SIZE, vocab_size=31, max_position_embeddings=12, intermediate_size=12)
    yield "bert", hf.BertConfig(**bert)
    yield "bert-untied", hf.BertConfig(**dict(bert, num_hidden_layers=1), tie_word_embeddings=False, type_vocab_size=3)
    yield "vit", hf.ViTConfig(**SIZE, intermediate_size=12, image_size=(8, 12), patch_size=4, num_channels=3, num_labels=5)


def tokens(config):
    x = {"input_ids": torch.randint(config.vocab_size, (2, 10))}
    if config.model_type == "bert":
        x["token_type_ids"] = torch.randint(config.type_vocab_size, (2, 10))
    return x


def pixels(config):
    height, width = config.image_size
    return torch.randint(256, (2, height, width, config.num_channels))


def write():
    torch.manual_seed(5)
    for name, config in models():
        model = CLASSES[config.model_type](config).eval()
        with torch.no_grad():
            for p in model.parameters():  # biases and norms too, so that no two are alike
                p.normal_(0.1, 0.4)
        expected = {}
        if config.model_type == "vit":
            image = pixels(config)
            x = {"pixel_values": image.permute(0, 3, 1, 2) / 127.5 - 1}
            expected["pixels"] = image.float()
        else:
            x = tokens(config)
            expected.update({k: v.float() for k, v in x.items()})
        with torch.no_grad():
            expected["logits"] = model(**x).logits.contiguous()
        out = os.path.join(HERE, name)
        model.save_pretrained(out)
        if os.path.exists(os.path.join(out, "generation_config.json")):
            os.remove(os.path.join(out, "generation_config.json"))
        save_file(expected, os.path.join(out, "expected.safetensors"))
    shards()


def shards():
    """The model gpt2 once more: in float16 and bfloat16, in two files with an index."""
    whole = load_file(os.path.join(HERE, "gpt2", "model.safetensors"))
    out = os.path.join(HERE, "gpt2-shards")
    os.makedirs(out, exist_ok=True)
    names = sorted(whole)
    files = {"model-00001-of-00002.safetensors": names[: len(names) // 2], "model-00002-of-00002.safetensors": names[len(names) // 2 :]}
    types = dict(zip(files, (torch.float16, torch.bfloat16)))
    index = {"metadata": {"total_size": 2 * sum(t.numel() for t in whole.values())}, "weight_map": {}}
    for file, part in files.items():
        save_file({n: whole[n].to(types[file]) for n in part}, os.path.join(out, file), metadata={"format": "pt"})
        index["weight_map"].update({n: file for n in part})
    with open(os.path.join(out, "model.safetensors.index.json"), "w") as f:
        json.dump(index, f, indent=2)
        f.write("\n")


def check(path):
    config = hf.AutoConfig.from_pretrained(path)
    model, info = CLASSES[config.model_type].from_pretrained(path, output_loading_info=True)
    model.eval()
    bad = {k: sorted(map(str, v)) for k, v in info.items() if v}
    if bad:
        sys.exit(f"{path}: {bad}")
    torch.manual_seed(0)
    with torch.no_grad():
        if config.model_type == "vit":
            size = config.image_size if isinstance(config.image_size, (list, tuple)) else (config.image_size,) * 2
            y = model(torch.rand(2, config.num_channels, *size) * 2 - 1).logits
        else:
            y = model(torch.randint(config.vocab_size, (2, min(8, config.max_position_embeddings)))).logits
    print(f"{path}: {type(model).__name__} of {model.num_parameters():,} parameters opens; logits {tuple(y.shape)}, mean {y.mean():.4f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        for directory in sys.argv[2:]:
            check(directory)
    else:
        write()
