# Each target is a line or two; the work lies in cargo and in the scripts named here.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo test bench image lint fmt ci

export CARGO_BUILD_TARGET ?= $(shell uname -m)-unknown-linux-musl
BINARY := $(abspath $(or $(CARGO_TARGET_DIR),target))/$(CARGO_BUILD_TARGET)/release/podinit
TOOLS := target/env/venv/bin

# The tests change kernel keys and start containers: whoever is not root runs them, not the compiler, through sudo.
ifneq ($(shell id -u),0)
export CARGO_TARGET_$(shell tr a-z- A-Z_ <<<$(CARGO_BUILD_TARGET))_RUNNER ?= sudo -E
endif

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

build: ## Build the static release binary and prove that it is static
	@tests/env/install build
	cargo build --release --locked
	@ldd $(BINARY) | grep -q 'statically linked' && stat --printf '%n: static, %s bytes\n' $(BINARY)

demo: build ## Run every command for real on this machine (DEMO_KEEP=1 keeps what it changed)
	@tests/env/demo $(BINARY)

test: build ## Install what the tests need, then run all checks and tests
	tests/env/install test
	$(MAKE) --no-print-directory lint
	cargo test --locked
	$(TOOLS)/cargo-deny check bans licenses sources

bench: build ## Measure podinit beside its peers
	tests/env/install test
	benches/run $(BINARY)
	benches/wait-for $(BINARY)

image: build ## Build the container image with podman or docker
	images/build $(BINARY)

lint: ## Check formatting, clippy and the Dockerfile (its checker comes with make test)
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	[ ! -x $(TOOLS)/hadolint ] || $(TOOLS)/hadolint images/Dockerfile

fmt: ## Format the code
	cargo fmt

ci: ## Run what continuous integration runs
	.ci/run
