# What people and .ci/run call.

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
DENY  := $(or $(shell command -v cargo-deny 2>/dev/null),$(TOOLS)/bin/cargo-deny)

.PHONY: run test lint bench growth pictures soak fuzz audit

## Everything on a temporary store, with simulated visitors.
run:
	$(CARGO) run --release -- demo

## Every test, in short form where there is a long one; then what a build without the cloud's clients says of them.
test:
	.ci/services
	.ci/tests --workspace --locked --features cloud
	$(CARGO) test --workspace --locked --features cloud --doc
	$(CARGO) test --locked -p store --lib -- embedded

## Format, warnings, licences, sources and bans.
lint: $(DENY)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(DENY) --locked check bans licenses sources

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install --debug --locked --root $(TOOLS) --target-dir $(TOOLS)/build cargo-deny

## Known vulnerabilities; needs the advisory database on GitHub.
audit: $(DENY)
	$(DENY) check advisories

## The pictures in the README, from the demo.
pictures:
	$(CARGO) build -p croupier --bin croupier --example screenshots
	target/debug/examples/screenshots

## One table of ratios, each measured beside its peer or limit.
bench:
	$(CARGO) bench -p croupier --bench bench
	$(CARGO) bench -p bandit
	$(CARGO) bench -p recommend
	$(CARGO) bench -p dashboard
	$(CARGO) bench -p embed
	$(CARGO) bench -p updater
	$(CARGO) bench -p loadtest

## What everything costs as there is more of it, and beyond capacity; into docs/growth.md and its pictures.
growth:
	$(CARGO) bench -p croupier --bench growth -- --save

## The long forms: ten minutes of load, two hundred kills, forty flipped bits in each file, a million decides, a flood of
## 50,000, Pub/Sub away for a minute; every seed and 2,000
## runs of the simulations; puts, removals and searches beside each other for five minutes; whole logs sent again.
soak:
	.ci/services
	SEEDS=10 STREAMS=5 RUNS=2000 $(CARGO) test --release -p bandit --locked -- --nocapture
	CONTRACT_EXAMPLES=1000 SOAK_SECONDS=600 FLOOD=50000 KILLS=200 FLIPS=40 DECIDES=1000000 AWAY_SECONDS=60 \
	    $(CARGO) test --release -p croupier --locked --features cloud -- --nocapture
	SOAK_SECONDS=300 $(CARGO) test --release -p recommend --locked -- --nocapture
	LOADTEST_LONG=1 $(CARGO) test --release -p loadtest --locked -- --nocapture

## Ten minutes for each parser; needs cargo-fuzz.
fuzz:
	cd fuzz && for target in $$($(CARGO) fuzz list); do \
	    RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --features cloud $$target -- -max_total_time=$${FUZZ_SECONDS:-600} || exit 1; done
