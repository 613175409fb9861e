# Every command of the project. `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := librdkafka-dev libcurl4-openssl-dev libssl-dev libmicrohttpd-dev libyaml-dev pkg-config
TEST_APT := kcat jq python3-venv zsh fish groff-base
FLAGS := --explicit-target-dependency-import-check error
BINARY := .build/debug/plugin-starter

.PHONY: help deps test-deps swift systemd build release man demo test kafka lint schemas compose-check deploy-check simulate chaos chaos-quota fuzz bench bench-compare bench-copy bench-latency bench-storm \
	bench-ledger bench-pacing bench-restore clean

help: ## lists these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

swift:
	@command -v swift >/dev/null || { echo "Swift 6.2 or newer is needed: https://www.swift.org/install/linux/"; exit 69; }

# $(call install,PACKAGES): those of them that are missing.
define install
	@missing=$$(for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

deps: ## installs the C libraries that are missing (apt, with sudo where not root)
	$(call install,$(APT))

test-deps: deps
	$(call install,$(TEST_APT))
	@[ -x .build/venv/bin/python ] || python3 -m venv .build/venv
	@.build/venv/bin/python -c 'import huaweicloudsdkcore, jsonschema, cloudevents.core, confluent_kafka' 2>/dev/null \
		|| .build/venv/bin/pip install -q --disable-pip-version-check \
			huaweicloudsdkcore==3.1.219 check-jsonschema cloudevents==2.2.0 confluent-kafka==2.16.1 \
		|| echo "SKIPPED: PyPI cannot be reached, so checks with the vendor's SDK and of the schemas are skipped"

build: swift deps ## builds the program for debugging
	swift build $(FLAGS)

release: swift deps ## builds the program for release: .build/release/plugin-starter
	swift build -c release --static-swift-stdlib --product plugin-starter $(FLAGS)

man: build ## writes the manual page: .build/man/man1/plugin-starter.1 (man -l shows it)
	@mkdir -p .build/man/man1
	$(BINARY) man > .build/man/man1/plugin-starter.1

demo: build ## runs the worker with an embedded broker and a sandbox; prints a table that must add up
	$(BINARY) demo

test: swift test-deps ## runs all tests, on a real broker (KAFKA_HOME or KAFKA_BOOTSTRAP_SERVERS), or what the embedded broker can serve
	swift build --build-tests $(FLAGS)
	SWIFT_DETERMINISTIC_HASHING=1 VENDOR_PYTHON=$(CURDIR)/.build/venv/bin/python swift test --skip-build --disable-xctest

kafka: ## fetches an Apache Kafka release for the tests on a real broker, and prints its KAFKA_HOME
	@Tests/fetch-kafka

SEEDS ?= 1000000
# New seeds for each day's commits; the tests run the first few.
FIRST ?= $(shell echo $$(( $$(git log -1 --format=%ct 2>/dev/null || date +%s) * 100 )))
simulate: swift deps ## runs SEEDS=1000000 simulated schedules on two cores, from seed FIRST (default: from the commit's date); then mutations that must be found
	swift build -c release --scratch-path .build/simulate -Xswiftc -DMUTATIONS --product simulate $(FLAGS)
	@first=$(FIRST); half=$$(( ($(SEEDS) + 1) / 2 )); export SWIFT_DETERMINISTIC_HASHING=1; \
	echo "to run the same seeds again: make simulate FIRST=$$first SEEDS=$(SEEDS)"; time { \
		.build/simulate/release/simulate $$first $$half & other=$$!; \
		.build/simulate/release/simulate $$(( first + half )) $$(( $(SEEDS) - half )); ended=$$?; \
		wait $$other && [ $$ended = 0 ]; }
	SWIFT_DETERMINISTIC_HASHING=1 .build/simulate/release/simulate mutants 10000

fuzz: swift deps ## fuzzes everything that reads bytes from outside: RUNS=200000 inputs in total (see Tests/Fuzz/run)
	Tests/Fuzz/run

lint: swift ## checks the code's format
	swift format lint -s -r Package.swift Sources Tests

# All but the one that has to be rejected.
VALID := $(filter-out %-for-rejected.json, $(wildcard schemas/examples/request-*.data.json schemas/examples/request-for-*.json))
schemas: test-deps ## checks the schemas and their examples; with ASYNCAPI_SCHEMA=FILE (github.com/asyncapi/spec-json-schemas) the AsyncAPI document too
	.build/venv/bin/check-jsonschema --check-metaschema schemas/*.schema.json
	.build/venv/bin/check-jsonschema --schemafile schemas/start-request.schema.json $(VALID)
	! .build/venv/bin/check-jsonschema --schemafile schemas/start-request.schema.json schemas/examples/request-for-rejected.json
	.build/venv/bin/check-jsonschema --schemafile schemas/start-result.schema.json schemas/examples/result-*.json
	.build/venv/bin/check-jsonschema --schemafile schemas/policy.schema.json schemas/examples/policy.yaml
	$(if $(ASYNCAPI_SCHEMA),.build/venv/bin/check-jsonschema --schemafile $(ASYNCAPI_SCHEMA) schemas/asyncapi.json)

compose-check: test-deps ## checks docker-compose.yml
	.build/venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

# promtool is in Debian's package prometheus. That package starts a server, so it is unpacked and not installed.
PROMTOOL := $(or $(shell command -v promtool),.build/prometheus/usr/bin/promtool)
.build/prometheus/usr/bin/promtool:
	@echo "fetching promtool"
	@rm -rf .build/prometheus && mkdir -p .build/prometheus
	@$(SUDO) apt-get update -qq
	@cd .build/prometheus && apt-get -qq -o APT::Sandbox::User=root download prometheus && dpkg -x prometheus_*.deb .

# Prints nothing where the unit is right, and exits 0 also where it is wrong. The program need not be installed.
VERIFY := sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' deploy/systemd/plugin-starter.service \
	> .build/deploy/plugin-starter.service && systemd-analyze verify --man=no .build/deploy/plugin-starter.service 2>&1
deploy-check: test-deps $(PROMTOOL) ## checks deploy/: alerts and their tests, dashboard, runbook, manifests, the systemd unit
	@command -v systemd-analyze >/dev/null || $(MAKE) -s systemd
	@.build/venv/bin/python -c 'import kubernetes_validate' 2>/dev/null \
		|| .build/venv/bin/pip install -q --disable-pip-version-check kubernetes-validate==1.37.0
	@mkdir -p .build/deploy
	.build/venv/bin/python -B Tests/Deploy/test_check.py
	.build/venv/bin/python -B Tests/Deploy/check.py
	$(PROMTOOL) check config deploy/prometheus/prometheus.yml
	$(PROMTOOL) test rules deploy/prometheus/alerts.test.yml
	.build/venv/bin/python -B Tests/Deploy/check.py rules .build/deploy/dashboard.yml
	$(PROMTOOL) check rules .build/deploy/dashboard.yml
	.build/venv/bin/kubernetes-validate --strict deploy/kubernetes/*.yaml
	found=$$($(VERIFY)) && echo "$$found" && [ -z "$$found" ]
	systemd-analyze security --offline=true --threshold=20 --no-pager deploy/systemd/plugin-starter.service | tail -1; \
		exit $${PIPESTATUS[0]}

systemd:
	$(call install,systemd)

bench: release test-deps ## measures requests per second end to end, on a real broker (KAFKA_HOME or KAFKA_BOOTSTRAP_SERVERS)
	Tests/Bench/throughput

bench-compare: release test-deps ## the same for this and another commit, in turn, with the ratio: BASE=<commit>
	Tests/Bench/compare

bench-storm: release test-deps ## measures a storm of requests under a quota of 5 calls per window: calls and time, next to the ideal
	Tests/Bench/storm

chaos: build test-deps ## breaks workers, broker, HSS and network for a while, then checks every result: KILLS=10 REQUESTS=4000 SEED=1, on a real broker (KAFKA_HOME)
	.build/venv/bin/python -B Tests/Chaos/test_count.py
	PLUGIN_STARTER=$${PLUGIN_STARTER:-$(BINARY)} .build/venv/bin/python -B Tests/Chaos/chaos.py

QUOTA ?= 20/1s
chaos-quota: build test-deps ## the same with a quota, so that one worker calls at a time: QUOTA=20/1s KILLS=8 REQUESTS=3000 SEED=5
	QUOTA=$(QUOTA) ACTIONS=kill,term,stop,join,cut-kafka,hole-kafka,kill-broker KILLS=$(or $(KILLS),8) \
		REQUESTS=$(or $(REQUESTS),3000) SEED=$(or $(SEED),5) PLUGIN_STARTER=$${PLUGIN_STARTER:-$(BINARY)} \
		.build/venv/bin/python -B Tests/Chaos/chaos.py

bench-copy: release test-deps ## measures requests that are all repeats, next to a loop that only copies records, on a real broker (KAFKA_HOME)
	swift build -c release --product bench-copy $(FLAGS)
	Tests/Bench/copy

bench-latency: release test-deps ## measures the time that the worker adds to a request, at RATE=500 requests a second, on a real broker (KAFKA_HOME)
	Tests/Bench/latency

bench-ledger: swift deps ## measures the ledger: memory per key, restore speed, time per request
	swift build -c release --product bench-ledger $(FLAGS)
	.build/release/bench-ledger

bench-pacing: swift deps ## measures how long requests wait with and without pacing, in virtual time, next to a bound
	swift build -c release --product bench-pacing $(FLAGS)
	.build/release/bench-pacing

bench-restore: release test-deps ## measures a start with 1,000,000 results in the window, on a real broker: time and memory
	Tests/Bench/restore

clean: ## removes what was built
	rm -rf .build
