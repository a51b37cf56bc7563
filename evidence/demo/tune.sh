#!/bin/sh
# Tunes the demo's two recipes with the same effort: learning rates and batch
# sizes at the demo's own budget and seed. Run 'gradus demo --out DIR' first; the
# program must be built as ./gradus. Usage: tune.sh DIR >evidence/demo/tuning.txt
set -eu
demo=$1
try() { # recipe, batch size, rate
  name="$1, batch $2, rate $3"
  file="$demo/tune-$1-$2-$3.yaml"
  sed -e "s/^name: .*/name: $name/; s/^batch: .*/batch: {size: $2}/; s/rate: [0-9e.-]*/rate: $3/" "$demo/$1.yaml" >"$file"
  [ -d "$demo/tune-$1-$2-$3" ] || ./gradus train "$file" --out "$demo/tune-$1-$2-$3" >/dev/null 2>&1
  tail -n 1 "$demo/tune-$1-$2-$3/run.jsonl" |
    sed -n "s/.*\"step\":\([0-9]*\),.*\"seconds\":\([0-9.]*\),.*\"held_out\":\([0-9.]*\).*/$name: \3 after \1 steps, \2 s/p"
}
for batch in 2 4 8; do
  try baseline $batch 4e-3
done
try baseline 4 2e-3
try baseline 4 6e-3
for batch in 4 8; do
  try composed $batch 4e-3
done
try composed 8 2e-3
try composed 8 6e-3
