#!/bin/sh
# Holds 'gradus export deepspeed' and 'gradus import deepspeed' against DeepSpeed
# itself: its reader, its DataAnalyzer and its data sampler. Usage: check.sh PYTHON;
# the program must be built as ./gradus. Without a Python that imports deepspeed it
# says so and does nothing.
set -eu
python=$1
dir=bin/deepspeed
export DS_BUILD_OPS=0 DS_SKIP_CUDA_CHECK=1 DS_ACCELERATOR=cpu
if ! "$python" -c 'import torch, deepspeed' >/dev/null 2>&1; then
  echo "check-deepspeed: skipped: $python cannot import deepspeed; 'pip install torch deepspeed', or give PYTHON=path"
  exit 0
fi
rm -rf "$dir"
mkdir -p "$dir"
./gradus prepare --tokenizer bytes --include '*.go' --exclude bin --out "$dir/text" . >"$dir/log"
for cut in "--window 128" "--documents"; do
  name=$dir/$(echo "$cut" | tr -d ' -')
  # shellcheck disable=SC2086 # the flag and its number
  ./gradus analyze --corpus "$dir/text" $cut --metric length --metric rarity --out "$name.index" >>"$dir/log"
  ./gradus export deepspeed --index "$name.index" --out "$name" >>"$dir/log"
  "$python" evidence/deepspeed/check.py "$name.index" "$name" "$name.analyzed"
  # What DeepSpeed wrote and what we wrote are the same index.
  for from in "$name" "$name.analyzed"; do
    # shellcheck disable=SC2086
    ./gradus import deepspeed "$from" --corpus "$dir/text" $cut --out "$from.back" >>"$dir/log"
    ./gradus check "$from.back" >>"$dir/log"
  done
  for file in values/length.npy order/length.npy values/rarity.npy order/rarity.npy; do
    cmp "$name.back/$file" "$name.analyzed.back/$file"
  done
  cmp "$name.back/order/length.npy" "$name.index/order/length.npy"
  echo "check-deepspeed: ok: $cut: imported, both give the same index"
done
