#!/bin/sh
# Trains nanoGPT's published CPU setting and fails unless the held-out loss ends
# at 1.90 or below. Usage: check.sh PATH-OF-TINY-SHAKESPEARE; the program must be
# built as ./gradus. A run that was cut off goes on.
set -eu
text=$1
limit=1.90
dir=bin/nanogpt
if [ ! -f "$text" ]; then
  echo "check-nanogpt: no text at '$text'; give SHAKESPEARE=path of Tiny Shakespeare (1,115,394 bytes)" >&2
  exit 2
fi
mkdir -p "$dir"
if [ ! -f "$dir/held-out.idx" ]; then # the first 90 % train, the rest is held out
  train=$(($(wc -c <"$text") * 9 / 10))
  head -c "$train" "$text" | ./gradus prepare --tokenizer bytes --out "$dir/train" --force -
  tail -c "+$((train + 1))" "$text" | ./gradus prepare --tokenizer bytes --out "$dir/held-out" --force -
fi
cp evidence/nanogpt/recipe.yaml "$dir/nanogpt.yaml"
resume=
[ -f "$dir/run/run.jsonl" ] && resume=--resume
./gradus train "$dir/nanogpt.yaml" --out "$dir/run" $resume
loss=$(tail -n 1 "$dir/run/run.jsonl" | sed -n 's/.*"held_out":\([0-9.]*\).*/\1/p')
echo "held-out loss $loss after 2000 steps (published: 1.88; limit: $limit)"
awk "BEGIN { exit !($loss <= $limit) }"
