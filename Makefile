# What a newcomer types: make demo, make test. make help tells the rest.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Each may be given on the command line or in the environment: make demo DEMO_FOR=60s WEB_PORT=8081
DEMO_FOR ?=
DEMO_DIR ?= .demo
WEB_PORT ?= 8080
MQTT_PORT ?= 1883
INFLUX_PORT ?= 8086
PKGS ?= ./...
TEST_ARGS ?=
PACKAGES ?=
VERSION ?=
TEST_TIMEOUT ?= 40m
INSTALL ?= yes
FUZZ_FOR ?= 10s
BENCH_FOR ?=
BENCH_ARGS ?=

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "demo: DEMO_FOR=60s stops by itself; WEB_PORT=$(WEB_PORT) MQTT_PORT=$(MQTT_PORT) INFLUX_PORT=$(INFLUX_PORT) DEMO_DIR=$(DEMO_DIR)"
	@echo "      INFLUX_URL, INFLUX_TOKEN, INFLUX_ORG name a running InfluxDB, for the tests too"
	@echo "test: PKGS=./agent/... TEST_ARGS='-run Spool -v' TEST_TIMEOUT=$(TEST_TIMEOUT); INSTALL=no leaves the machine's packages alone;"
	@echo "      CI=true fails what would be skipped"
	@echo "fuzz: FUZZ_FOR=$(FUZZ_FOR) for each target"

.PHONY: demo
demo: build ## measure this machine beside simulated villages, board on http://127.0.0.1:8080; Ctrl-C stops all
	@exec bin/nabz-demo --dir "$(DEMO_DIR)" --web-port $(WEB_PORT) --mqtt-port $(MQTT_PORT) --influx-port $(INFLUX_PORT) $(if $(DEMO_FOR),--for $(DEMO_FOR))

.PHONY: build
build: ## build every program into bin/
	@mkdir -p bin
	go build -trimpath -buildvcs=auto -o bin/ ./cmd/...

.PHONY: packages
packages: ## make the packages, .deb and .ipk, in bin/packages; PACKAGES="agent:amd64.deb …" for some, VERSION for another version
	@go run ./internal/tools/packages $(if $(VERSION),-version "$(VERSION)") $(PACKAGES)

.PHONY: test
test: export TEST_TIMEOUT := $(TEST_TIMEOUT)
test: export INSTALL := $(INSTALL)
test: ## set up what the tests need, then format check, vet, all tests with the race detector, the agent's under qemu
	@scripts/setup-test
	@scripts/test $(TEST_ARGS) $(PKGS)
	@$(if $(filter ./...,$(PKGS)),scripts/test-qemu)

.PHONY: test-qemu
test-qemu: ## the agent's tests as the binaries of routers, mipsle and armv7, under qemu
	@scripts/test-qemu

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZ_FOR
	@scripts/fuzz $(FUZZ_FOR)

.PHONY: bench
bench: ## run every Go benchmark; docs/performance.md says what the figures mean
	go test -run '^$$' -bench . $(PKGS)

.PHONY: bench-wire
bench-wire: build ## bytes a month of both profiles by the interface's counters, by kind; root; BENCH_FOR, else an hour
	@go build -o bin/.bench ./internal/tools/bench && bin/.bench wire $(if $(BENCH_FOR),-for $(BENCH_FOR))

.PHONY: bench-agent
bench-agent: build ## the agent's memory, processor time, flash writes, sizes; root; BENCH_FOR, else an hour and a half
	@go build -o bin/.bench ./internal/tools/bench && bin/.bench agent $(if $(BENCH_FOR),-for $(BENCH_FOR))

.PHONY: bench-collector
bench-collector: build ## points a second, processor time, memory of the collector beside a tight writer; BENCH_FOR for each slice, else 15s
	@go build -o bin/.bench ./internal/tools/bench && bin/.bench collector $(if $(BENCH_FOR),-for $(BENCH_FOR)) $(BENCH_ARGS)

.PHONY: bench-report
bench-report: build ## seconds and memory of reports: a month of 10, 100, 1,000 sites, a year of 100; BENCH_ARGS="-rounds 5 -only month_1000"
	@go build -o bin/.bench ./internal/tools/bench && bin/.bench report $(BENCH_ARGS)

.PHONY: bench-board
bench-board: build ## from an agent's sending to 200 screens, first byte, memory, with 5,000 sites; BENCH_FOR, else 3m
	@go build -o bin/.bench ./internal/tools/bench && bin/.bench board $(if $(BENCH_FOR),-for $(BENCH_FOR)) $(BENCH_ARGS)

.PHONY: third-party
third-party: ## fetch the pinned browser libraries and fonts again, checked by hash
	go run ./internal/tools/getweb third_party/web
	go run ./internal/tools/getweb third_party/fonts

.PHONY: dashboards
dashboards: ## write Grafana's dashboards anew from the code in dashboards/
	go run ./internal/tools/dashboards dashboards

.PHONY: docs
docs: ## write docs/configuration.md anew from the code
	go run ./internal/tools/manual reference docs/configuration.md

.PHONY: dictionary
dictionary: ## train one more dictionary for sealing batches; those that were shipped never change
	go run ./internal/tools/traindict telemetry/dictionary/$$(( $$(ls telemetry/dictionary | wc -l) + 1 )).zdict $$(( $$(ls telemetry/dictionary | wc -l) + 1 ))

.PHONY: fixtures
fixtures: ## record for good what the agent and the collector of a release say: RELEASE=0.6.0, once it is in internal/release/releases.txt
	@[ -n "$(RELEASE)" ] || { echo "name the release: make fixtures RELEASE=0.6.0" >&2; exit 2; }
	@[ ! -e "telemetry/testdata/releases/$(RELEASE)" ] || { echo "$(RELEASE) is recorded; what was recorded never changes" >&2; exit 2; }
	NABZ_RECORD_RELEASE="$(RELEASE)" NABZ_LONG_TESTS=1 go test -count=1 -run 'ARecordedRelease.*/$(RELEASE)' ./internal/walk
	NABZ_UPDATE=1 go test -count=1 -run 'WhatEveryRelease|WhatWasRecorded' ./telemetry

.PHONY: screenshots
screenshots: ## take the pictures of docs/ anew, with the browser test
	@set -e; d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; NABZ_SCREENSHOTS="$$d" go test -count=1 -run Fit ./collector/web; mkdir -p docs/screenshots; \
	for p in board map site; do for s in 1280x720 390x844; do for c in light dark; do cp "$$d/$$p-$$s-$$c.png" docs/screenshots/; done; done; done; \
	cp "$$d"/reports-1280x720-light.png "$$d"/report-1280x720-light.png "$$d"/shared{,-ur}-{1280x720,390x844}-light.png docs/screenshots/; ls -l docs/screenshots

.PHONY: clean
clean: ## remove what make built and the demo's data in .demo/
	rm -rf bin .demo
