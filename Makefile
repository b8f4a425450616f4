# `make` alone lists what there is.
.DEFAULT_GOAL := help

RUST := 1.89
GO := 1.26

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools ## Watch five canaries live (a real control plane, Istio and Prometheus; no Docker, no root)
	@cargo build -p kanary-e2e --bin demo
	@cargo run -q -p kanary-e2e --bin demo

test: tools pip ## Run everything: format, lints, unit tests, simulation, end to end
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace

lab: tools ## Start a control plane with Kanary to play with, until Ctrl-C
	@cargo build -p kanary-e2e --bin lab
	@cargo run -q -p kanary-e2e --bin lab -- up

bench: tools pip ## Print as JSON what canaries, queries and mirrors cost (a quarter of an hour; or PARTS='mirror 5')
	@cargo build --release -p kanary-e2e --bin bench
	@cargo run -q --release -p kanary-e2e --bin bench -- $(PARTS)

crd: ## Generate crds/kanarydeployments.yaml from src/api
	cargo run -q --bin kanary -- crd > crds/.new
	mv crds/.new crds/kanarydeployments.yaml

# A static binary and the license, as the krew manifest expects them. Needs the target musl and musl-gcc.
TARGET := x86_64-unknown-linux-musl
plugin: ## Build kubectl-kanary as one static binary: target/kubectl-kanary_linux_amd64.tar.gz
	@rustup target list --installed | grep -qx $(TARGET) || { echo "make: rustup target add $(TARGET), and install musl-tools" >&2; exit 1; }
	cargo build --release --locked -p kanary --bin kubectl-kanary --target $(TARGET)
	tar -czf target/kubectl-kanary_linux_amd64.tar.gz LICENSE -C target/$(TARGET)/release kubectl-kanary

# What a fresh machine may lack, one sentence each.
tools:
	@lacks() { echo "make: $$1" >&2; exit 1; }; \
	has() { command -v "$$1" > /dev/null; }; \
	old() { [ "$$(printf '%s\n' "$$1" "$$2" | sort -V | head -n 1)" != "$$1" ]; }; \
	has cargo || lacks "cargo is missing: install Rust $(RUST) or later from https://rustup.rs"; \
	rust=$$(rustc --version | cut -d ' ' -f 2); \
	old $(RUST) "$$rust" && lacks "Rust $$rust is too old: Kanary needs $(RUST) or later (rustup update)"; \
	cargo fmt --version > /dev/null 2>&1 || lacks "rustfmt is missing: rustup component add rustfmt"; \
	cargo clippy --version > /dev/null 2>&1 || lacks "clippy is missing: rustup component add clippy"; \
	has cc || lacks "a C compiler is missing: install gcc (apt install gcc libc6-dev)"; \
	has go || lacks "go is missing: the lab builds Kubernetes from source; install Go $(GO) or later from https://go.dev/dl"; \
	go=$$(cd e2e/tools/kubernetes && go env GOVERSION | sed 's/^go//'); \
	old $(GO) "$$go" && lacks "Go $$go is too old: the lab needs $(GO) or later (https://go.dev/dl)"; \
	{ has unshare && has setpriv; } || lacks "unshare or setpriv is missing: install util-linux"; \
	unshare --user --map-root-user true 2> /dev/null || [ "$$(id -u)" = 0 ] || \
	lacks "the lab needs user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0), or run as root"

pip:
	@python3 -m pip --version > /dev/null 2>&1 || \
	{ echo "make: pip is missing: the mesh needs Envoy, which comes as a Python wheel (apt install python3-pip)" >&2; exit 1; }

.PHONY: help demo test lab bench crd plugin tools pip
