#!/bin/sh
# Trains the ViT recipes on Fashion-MNIST, plain and with random-LTD, and fails unless
# both end with a test accuracy of 85 % or more. Usage: check.sh DIRECTORY-OF-IDX-FILES;
# the program must be built as ./gradus. Runs that were cut off go on.
set -eu
idx=$1
limit=0.85
dir=bin/vit
if [ ! -f "$idx/train-images-idx3-ubyte.gz" ]; then
  echo "check-vit: no Fashion-MNIST in '$idx'; give FASHION=directory of its four IDX files (Debian: dataset-fashion-mnist)" >&2
  exit 2
fi
mkdir -p "$dir/data"
[ -f "$dir/data/fashion.idx" ] || ./gradus prepare --images --force --out "$dir/data/fashion" "$idx/train-images-idx3-ubyte.gz"
[ -f "$dir/data/fashion-test.idx" ] || ./gradus prepare --images --force --out "$dir/data/fashion-test" "$idx/t10k-images-idx3-ubyte.gz"
failed=
for name in vit-fashion vit-fashion-ltd; do
  cp "recipes/$name.yaml" "$dir/$name.yaml"
  resume=
  [ -f "$dir/$name/run.jsonl" ] && resume=--resume
  ./gradus train "$dir/$name.yaml" --out "$dir/$name" $resume
  last=$(tail -n 1 "$dir/$name/run.jsonl")
  accuracy=$(echo "$last" | sed -n 's/.*"accuracy":\([0-9.]*\).*/\1/p')
  seconds=$(echo "$last" | sed -n 's/.*"seconds":\([0-9.]*\).*/\1/p')
  echo "$name: test accuracy $accuracy after $seconds s of steps (limit: $limit)"
  awk "BEGIN { exit !($accuracy >= $limit) }" || failed=1
done
[ -z "$failed" ]
