# make run    a demonstration in a temporary folder: one visitor from click to paid commission, then it keeps serving
# make test   everything that must hold before a commit (scripts/test.sh)
# make check  the quick half of it: format and lints

PROFILE ?= dev

.PHONY: run test check format

# The dev profile builds in a third of the time of a release and is fast enough to look at: make run PROFILE=release
run:
	cargo run --quiet --profile $(PROFILE) -p headwater -- demo

test:
	scripts/test.sh

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

format:
	cargo fmt --all
