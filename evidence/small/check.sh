#!/bin/sh
# Runs the small study anew, in bin/small, and fails unless its table is that of
# evidence/small/study.md, the part with times aside. Usage: check.sh GRADUS GONUM, the
# program, built without SIMD, and the directory of the module gonum.org/v1/gonum.
set -eu
gradus=$1
gonum=$2
dir=bin/small
rm -rf "$dir"
mkdir -p "$dir"
cp evidence/small/baseline.yaml evidence/small/study.yaml "$dir"
"$gradus" prepare --tokenizer bytes --include '*.go' --out "$dir/text" "$gonum/mat"
"$gradus" analyze --corpus "$dir/text" --window 64 --metric rarity --out "$dir/text.index" >"$dir/analyze.txt"
"$gradus" compare "$dir/study.yaml" --out "$dir/out" --jobs 2 >"$dir/compare.txt"
sed '/^## Times/,$d' evidence/small/study.md >"$dir/want.md"
sed '/^## Times/,$d' "$dir/out/study.md" >"$dir/got.md"
if ! diff -u "$dir/want.md" "$dir/got.md"; then
  echo "check-study: the table is another one. It was made on amd64; other processors round otherwise." >&2
  exit 1
fi
echo "check-study: the table is the committed one, to the last bit; the page is $dir/out/study.html"
