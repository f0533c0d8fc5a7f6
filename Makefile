# `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

GO ?= go
# How much `make long` and `make fuzz` do.
SEEDS ?= 50000
FUZZTIME ?= 30s
DEEPFUZZ ?= 60
KILLS ?= 200

# The linters have a go.mod of their own, so that the product's stays short.
TOOL := $(GO) tool -modfile=tools/go.mod
# Where our Go files are.
FOLDERS := asl cmd examples internal test

# The checkout may belong to another user than the one who runs this (root, in
# CI); git, and the go command through it, would refuse to look at it.
export GIT_CONFIG_COUNT := 1
export GIT_CONFIG_KEY_0 := safe.directory
export GIT_CONFIG_VALUE_0 := *

.NOTPARALLEL:
NPM := cd web && npm --no-update-notifier

.PHONY: build quick test check compat crash web console console-check sim long fuzz bench update models lint fmt prepare clean help

build: ## Build bin/lockstep, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/lockstep ./cmd/lockstep

quick: ## The inner loop: short tests, no services, under two minutes
	$(GO) vet ./...
	$(GO) test -short ./...

test: check compat crash web ## Everything CI runs; installs what it needs, says what it skips

check: prepare build lint ## Lane of test: build, vet, lint, short tests with the race detector, 2,000 simulated worlds
	if cc --version >/dev/null 2>&1; then CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...; \
	else echo 'skipped: the race detector needs a C compiler (apt-get install gcc libc6-dev)'; $(GO) test -short ./...; fi
	$(GO) test ./internal/arch
	$(MAKE) --no-print-directory sim SEEDS=2000

compat: prepare ## Lane of test: recorded cases, AWS SDKs and the AWS CLI against the binary
	if [ ! -e ../shared/conformance/run.py ]; then echo 'skipped: the cases recorded on AWS are not beside this checkout'; fi
	$(GO) test -count=1 -v -timeout 30m ./internal/conformance ./test/... | grep -v -e '^=== ' -e '^?'
	if $(GO) -C test/requests mod download; then $(GO) -C test/requests test -count=1 -v ./... | grep -v -e '^=== '; \
	else echo "skipped: comparing requests with those of AWS's SDK needs the Go module proxy"; fi
	if npm ci --silent --no-audit --no-fund --prefix asl/jsonata/testdata/oracle; \
	then $(GO) test -count=1 -v -run Differential ./asl/jsonata | grep -v -e '^=== '; \
	else echo 'skipped: comparing JSONata with its reference implementation needs npm and its registry'; fi
	if npm ci --silent --no-audit --no-fund --prefix internal/openapi/testdata/validator; \
	then $(GO) test -count=1 -v -run TheDocumentIsOpenAPI ./cmd/lockstep | grep -v -e '^=== '; \
	else echo 'skipped: validating the OpenAPI document needs npm and its registry'; fi

crash: prepare ## Lane of test: kill the server, cut the power, fill the disk
	$(GO) -C test/crash test -count=1 -v -timeout 30m ./... | grep -v -e '^=== '

web: prepare ## Lane of test: types and tests of the console, and the binary in a browser
	scripts/web

console: ## Build the web console into internal/console/dist; commit what changes there
	$(NPM) ci --ignore-scripts --silent --no-audit --no-fund
	$(NPM) run --silent check
	$(NPM) run --silent build -- --logLevel warn

console-check: ## Is the committed console what web/ makes?
	scripts/console-check

sim: ## Simulate SEEDS worlds with faults
	$(GO) test -count=1 -timeout 0 ./internal/sim -seeds=$(SEEDS)

long: build ## What takes longer than CI may: SEEDS worlds, KILLS crashes, every fuzz target for FUZZTIME or a share of DEEPFUZZ minutes, JSONata against the reference, benches
	$(MAKE) --no-print-directory sim
	$(GO) -C test/crash test -count=1 -v -timeout 0 ./... -kills=$(KILLS) -cuts=$(KILLS) -bad=500 -waiting=100000 -rows=1000000
	scripts/fuzz $(FUZZTIME) $(DEEPFUZZ)
	if npm ci --silent --no-audit --no-fund --prefix asl/jsonata/testdata/oracle; \
	then for seed in 1 2 3 4 5; do $(GO) test -count=1 -v -timeout 0 -run Differential ./asl/jsonata -exprs=100000 -seed=$$seed | tail -n 12; done; \
	else echo 'skipped: comparing JSONata with its reference implementation needs npm and its registry'; fi
	scripts/bench bin/lockstep

fuzz: ## Fuzz every target for FUZZTIME each
	scripts/fuzz $(FUZZTIME)

bench: build ## Measure each kind of work; prints a JSON object for each
	scripts/bench bin/lockstep

update: ## Rewrite expected outputs; read the diff
	UPDATE=1 $(GO) test -count=1 -short ./asl/... ./cmd/... ./internal/...

models: ## Make services.zip of botocore's models, from BOTOCORE, its data folder, or from PyPI
	scripts/models "$(BOTOCORE)"

lint: ## gofmt, vet, staticcheck, shell syntax
	@unformatted=$$(gofmt -l $(FOLDERS)); \
	if [ -n "$$unformatted" ]; then echo "not in gofmt's form (make fmt): $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	for f in .ci/run scripts/* test/sdk/cli/tour.sh; do bash -n "$$f"; done
	$(GO) -C test/sdk/go vet ./...
	$(GO) -C test/functions/go vet ./...
	$(GO) -C test/crash vet ./...
	$(GO) -C test/requests vet ./...

fmt: ## Format all Go files
	gofmt -w $(FOLDERS)

prepare:
	@scripts/prepare

clean: ## Remove what was built
	rm -rf bin

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done
