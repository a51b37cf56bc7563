#!/bin/sh
# Trains a small BERT on Tiny Shakespeare and fails unless its masked loss on held-out
# text ends a third below the entropy of single bytes, which is the best that a model
# can do that does not look at the context. Usage: check.sh PATH-OF-TINY-SHAKESPEARE;
# the program must be built as ./gradus. BACKEND=NAME trains on another backend than go.
# A run that was cut off goes on.
set -eu
text=$1
dir=bin/bert
if [ ! -f "$text" ]; then
  echo "check-bert: no text at '$text'; give SHAKESPEARE=path of Tiny Shakespeare (1,115,394 bytes)" >&2
  exit 2
fi
mkdir -p "$dir/data"
train=$(($(wc -c <"$text") * 9 / 10)) # the first 90 % train, the rest is held out
if [ ! -f "$dir/data/shakespeare-test.idx" ]; then
  head -c "$train" "$text" | ./gradus prepare --tokenizer bytes --split 4096 --out "$dir/data/shakespeare-train" --force -
  tail -c "+$((train + 1))" "$text" | ./gradus prepare --tokenizer bytes --split 4096 --out "$dir/data/shakespeare-test" --force -
fi
entropy=$(tail -c "+$((train + 1))" "$text" | od -An -v -tu1 -w1 | sort | uniq -c |
  awk '{ n += $1; s += $1 * log($1) } END { printf "%.4f", log(n) - s / n }')
cp evidence/bert/recipe.yaml "$dir/bert.yaml"
resume=
[ -f "$dir/run/run.jsonl" ] && resume=--resume
./gradus train "$dir/bert.yaml" --out "$dir/run" --backend "${BACKEND:-go}" $resume
loss=$(tail -n 1 "$dir/run/run.jsonl" | sed -n 's/.*"held_out":\([0-9.]*\).*/\1/p')
echo "held-out masked loss $loss nats a byte; the entropy of single bytes there is $entropy"
awk "BEGIN { exit !($loss <= $entropy * 2 / 3) }"
