# The ways in. Each target is one command; the scripts say what they install and how long it takes.

programs := -p signet-ca -p signet-node-agent -p signet
target := $(or $(CARGO_TARGET_DIR),$(CARGO_BUILD_TARGET_DIR),target)

.PHONY: help demo demo-vault check test bench fuzz

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 14

demo: ## See it work with real Envoys, in under 3 minutes (ARGS=--keep leaves all of it running)
	@envoy=$$(scripts/envoy) && cargo build --quiet $(programs) || { echo "0 passed, 1 failed"; exit 1; }; \
	$(target)/debug/signet demo --envoy "$$envoy" $(ARGS)

demo-vault: ## See it sign by an operator's key, before Vault and with Vault alone, with a real OpenBao, in under 3 minutes
	@envoy=$$(scripts/envoy) && vault=$$(scripts/openbao) && cargo build --quiet $(programs) || { echo "0 passed, 1 failed"; exit 1; }; \
	$(target)/debug/signet demo --envoy "$$envoy" --vault "$$vault" $(ARGS)

check: ## Check format, lints, documentation, dependencies and architecture
	@scripts/check

test: ## Run every test, also those against real Envoys, a real OpenBao and a real Kubernetes API server
	@scripts/test

bench: ## Measure it in about 5 minutes: a table, target/bench/latest.json and .svg (PARTS="issue storm": those alone)
	@scripts/openbao >/dev/null && cargo build --quiet --release $(programs)
	@cargo run --quiet --release -p signet-tests --bin signet-bench -- $(PARTS)

fuzz: ## Fuzz what hostile bytes reach first, for a minute (SECONDS=600 for longer)
	@fuzz=$$(scripts/tool cargo-fuzz 0.13.2) && \
	RUSTC_BOOTSTRAP=1 "$$fuzz" run --fuzz-dir fuzz authority -- -max_total_time=$(or $(SECONDS),60) -max_len=4096
