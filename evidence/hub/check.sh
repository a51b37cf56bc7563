#!/bin/sh
# Holds checkpoints and 'gradus export huggingface' of every kind of model against
# transformers: from_pretrained opens each, with no tensor missing and none left
# over. Usage: check.sh PYTHON; the program must be built as ./gradus. Without a
# Python that imports transformers it says so and does nothing. That the numbers
# are the same too is tested with files that transformers wrote (model.TestHubLogits).
set -eu
python=$1
dir=bin/hub
if ! "$python" -c 'import torch, transformers, safetensors' >/dev/null 2>&1; then
  echo "check-hub: skipped: $python cannot import transformers; 'pip install torch transformers', or give PYTHON=path"
  exit 0
fi
rm -rf "$dir"
mkdir -p "$dir"
./gradus prepare --tokenizer bytes --out "$dir/text" LICENSE >"$dir/log"
"$python" - "$dir" <<'END'
import random, struct, sys
random.seed(1)
n, side = 60, 8
for name, magic, shape in ("train-images-idx3-ubyte", 2051, (n, side, side)), ("train-labels-idx1-ubyte", 2049, (n,)):
    with open(f"{sys.argv[1]}/{name}", "wb") as f:
        f.write(struct.pack(f">{1 + len(shape)}i", magic, *shape))
        size = 1
        for d in shape:
            size *= d
        f.write(bytes(random.randrange(3 if len(shape) == 1 else 256) for _ in range(size)))
END
./gradus prepare --images --out "$dir/images" "$dir/train-images-idx3-ubyte" >>"$dir/log"

# kind NAME CORPUS SAMPLE MODEL
kind() {
  cat >"$dir/$1.yaml" <<END
corpus: $dir/$2
sample: $3
batch: {size: 4}
budget: {steps: 4}
model: $4
optimizer: {rate: 1e-3, average: {kind: ema, decay: 0.5}}
evaluate: {held_out: 0}
END
  ./gradus train "$dir/$1.yaml" --out "$dir/$1" >>"$dir/log" 2>&1
  ./gradus export huggingface "$dir/$1" --out "$dir/$1-export" >>"$dir/log"
  "$python" model/testdata/hub.py check "$dir/$1"/checkpoints/step-0000000004 "$dir/$1-export"
}
size="layers: 3, width: 16, heads: 2"
kind gpt text '{window: 16}' "{kind: gpt, $size}"
kind gpt-untied text '{window: 16}' "{kind: gpt, $size, head: untied, inner: 40}"
kind rotary text '{window: 16}' "{kind: gpt, $size, positions: rotary}"
kind rotary-untied text '{window: 16}' "{kind: gpt, $size, positions: rotary, head: untied}"
kind bert text '{window: 16}' "{kind: bert, $size}"
kind bert-untied text '{window: 16}' "{kind: bert, $size, head: untied}"
kind vit images '{images: true}' "{kind: vit, $size, patch: 4}"
echo "check-hub: done"
