#!/usr/bin/env bash
# Everything that must hold before a commit. The last line printed is the verdict of the Rust tests, which come last.
#
# From a clean clone on two cores this takes well under 25 minutes, most of it compiling.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
  printf '\n== %s\n' "$*"
}

step "tools"
scripts/needs.sh

step "format and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- -D warnings

step "the visitor's script"
node --test sdk/js/test/*.test.mjs

# What integrations use against the server, so do our tests: the Standard Webhooks libraries check postbacks, OAuth clients get
# and use access tokens.
step "libraries of others"
tools=target/test-tools
mkdir -p "$tools"
if ! "$tools/venv/bin/python" -c 'import requests_oauthlib, standardwebhooks' 2>/dev/null; then
  rm -rf "$tools/venv"
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check requests-oauthlib standardwebhooks
fi
if [ ! -e "$tools/node_modules/standardwebhooks/package.json" ] || [ ! -e "$tools/node_modules/simple-oauth2/package.json" ]; then
  npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error simple-oauth2 standardwebhooks
fi
export HEADWATER_TEST_PYTHON="$PWD/$tools/venv/bin/python"
export HEADWATER_TEST_NODE_MODULES="$PWD/$tools/node_modules"

step "a visitor in a real browser"
cargo build --quiet -p headwater
HEADWATER_TEST_BINARY=$(realpath "${CARGO_TARGET_DIR:-target}/debug/headwater") node --test sdk/js/browser/test.mjs

if command -v cargo-deny >/dev/null; then
  step "licences and advisories"
  cargo deny --offline check licenses bans sources
fi

step "everything in Rust, on SQLite and PostgreSQL"
if command -v cargo-nextest >/dev/null; then
  exec scripts/with-postgres.sh cargo nextest run --workspace
fi
echo "cargo-nextest is missing, so cargo test runs the tests: cargo install cargo-nextest --locked"
exec scripts/with-postgres.sh cargo test --workspace --quiet
