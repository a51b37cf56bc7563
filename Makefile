# Nothing but Go is needed. The pure-Go backend is five times faster with the
# SIMD packages of Go 1.26.
export GOEXPERIMENT := simd
GO ?= go
FUZZTIME ?= 60s
# DeepSpeed is measured where this Python can import it.
PYTHON ?= python3
# Tiny Shakespeare, 1,115,394 bytes; not part of the repository.
SHAKESPEARE ?= ../shared/data/tinyshakespeare.txt

# The IDX files of Fashion-MNIST, as Debian's dataset-fashion-mnist has them.
FASHION ?= /usr/share/datasets/fashion-mnist

.PHONY: check-bert check-vit build test race fuzz bench bench-analyze bench-curriculum bench-train lint golden check-nanogpt check-kills check-laws check-saving check-billion check-deepspeed check-hub check-study demo

build: ## the program, as ./gradus
	$(GO) build -o gradus ./cmd/gradus

test: ## all tests, a few minutes on two cores
	$(GO) test ./...

race: ## the packages that run goroutines of their own, under the race detector
	CGO_ENABLED=1 $(GO) test -race ./analyze ./arrange ./batch ./corpus ./curriculum ./deepspeed ./index ./internal/... ./metric/... ./pace ./prepare ./report ./route ./runlog ./saving ./table ./tokenizer
	@# GoMLX's SIMD kernels do arithmetic on pointers that checkptr refuses.
	CGO_ENABLED=1 $(GO) test -race -gcflags=all=-d=checkptr=0 ./recipe ./train

fuzz: ## every reader, FUZZTIME each
	@for target in $$(grep -rl '^func Fuzz' --include='*_test.go' .); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$target); do \
	    echo "$$(dirname $$target) $$name"; \
	    $(GO) test $$(dirname $$target) -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x || exit 1; \
	  done; \
	done

bench: ## speed of the parts; compare runs with benchstat
	$(GO) test -run '^$$' -bench . -benchmem ./curriculum ./internal/keyed ./analyze ./train

bench-analyze: build ## analyze against a bare loop and, if PYTHON has it, DeepSpeed: evidence/analyze
	$(GO) build -buildvcs=auto -o bin/bench-analyze ./bench/analyze
	bin/bench-analyze -python "$(PYTHON)" $(BENCHFLAGS)

bench-curriculum: ## plans and samplers against bare loops and, if PYTHON has it, DeepSpeed: evidence/curriculum; BENCHFLAGS=-large for 10^9 samples
	$(GO) build -buildvcs=auto -o bin/bench-curriculum ./bench/curriculum
	bin/bench-curriculum -python "$(PYTHON)" $(BENCHFLAGS)

bench-train: ## training steps on the backends that work here, and in PyTorch if PYTHON has it: evidence/train; BENCHTAGS=xla,onnx builds those in
	$(GO) build -buildvcs=auto -tags "$(BENCHTAGS)" -o bin/bench-train ./bench/train
	bin/bench-train -python "$(PYTHON)" $(BENCHFLAGS)

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

golden: ## rewrite the expected outputs; read the diff before you commit it
	$(GO) test ./cmd ./recipe ./report ./saving ./train -update

check-nanogpt: build ## the published nanoGPT CPU setting on Tiny Shakespeare, about 15 minutes
	sh evidence/nanogpt/check.sh "$(SHAKESPEARE)"

check-bert: build ## a small BERT on Tiny Shakespeare: well below the entropy of single bytes; about 20 minutes
	sh evidence/bert/check.sh "$(SHAKESPEARE)"

check-vit: build ## a small ViT on Fashion-MNIST, plain and with random-LTD: 85 % or more; about 10 minutes each
	sh evidence/vit/check.sh "$(FASHION)"

check-kills: ## kill -9 an analysis at 50 random moments, and go on from each
	GRADUS_KILLS=50 $(GO) test -count=1 -v -run TestAnalyzeKilled ./cmd

check-laws: ## the sampler's laws on 1,000 random plans each, a minute or two
	$(GO) test -count=1 -v -timeout 30m -run 'Laws|Pools|Order|Positions|Reverse|GoingOn|Kept|Expect' ./curriculum -rapid.checks=1000

check-saving: ## the intervals of savings against the true ones, 1,000 synthetic studies a setting; a few minutes
	GRADUS_DRAWS=1000 $(GO) test -count=1 -v -timeout 60m -run TestCoverage ./saving

check-billion: ## rarity of 10^9 tokens in 10^7 samples; needs 4 GB under TMPDIR, a few minutes
	GRADUS_BILLION="$${TMPDIR:-/tmp}" $(GO) test -count=1 -v -timeout 30m -run TestBillion ./analyze

check-deepspeed: build ## exported index files against DeepSpeed itself, if PYTHON can import it
	sh evidence/deepspeed/check.sh "$(PYTHON)"

check-hub: build ## checkpoints and exports of all kinds of model open in transformers, if PYTHON has it
	sh evidence/hub/check.sh "$(PYTHON)"

check-study: ## the committed small study anew, from the text on: its table to the last bit; about 4 minutes
	$(GO) mod download gonum.org/v1/gonum
	@# SIMD kernels differ between processors, and their sums with them.
	GOEXPERIMENT= $(GO) build -o bin/gradus-plain ./cmd/gradus
	sh evidence/small/check.sh bin/gradus-plain "$$($(GO) list -m -f '{{.Dir}}' gonum.org/v1/gonum)"

demo: ## what a newcomer runs first
	$(GO) run ./cmd/gradus demo
