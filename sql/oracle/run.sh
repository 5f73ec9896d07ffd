#!/usr/bin/env bash
# Judges the statement reader by PostgreSQL's own parser: format, lints, licences and tests of this folder, which is no member of the
# workspace. Arguments go to the tests: `sql/oracle/run.sh --nocapture` prints precision and recall by kind of statement.
# `sql/oracle/run.sh statements` judges nothing and writes the suite's statements, a JSON string a line.
# With SEALTRAIL_SKIPPED, a suite that cannot be downloaded is told in that file, and nothing is judged: `make test` prints it last.
set -euo pipefail
cd "$(dirname "$0")"

# A folder of its own: other settings than the workspace's would build its dependencies anew each time.
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-../../target}")/oracle"
# libclang comes without the compiler's own headers (stdbool.h); those of the C compiler that builds the parser do.
BINDGEN_EXTRA_CLANG_ARGS="-isystem $(cc -print-file-name=include)"
export CARGO_TARGET_DIR BINDGEN_EXTRA_CLANG_ARGS

if ! ./suite.sh "$CARGO_TARGET_DIR/postgresql-15/sql" >&2; then
  [ -n "${SEALTRAIL_SKIPPED:-}" ] || exit 1
  mkdir -p "$(dirname "$SEALTRAIL_SKIPPED")"
  echo "skipped: sql/oracle: Debian's source package postgresql-15 could not be downloaded" | tee -a "$SEALTRAIL_SKIPPED" >&2
  exit 0
fi

if [ "${1:-}" = statements ]; then
  exec cargo run --quiet --locked --example statements "$CARGO_TARGET_DIR/postgresql-15/sql"
fi

cargo fmt --check
cargo clippy --quiet --locked --all-targets -- -D warnings
if cargo deny --version >/dev/null 2>&1; then
  # By the deny.toml of the folders above. Two versions of a crate are of no weight in a test.
  cargo deny --locked check --hide-inclusion-graph -A duplicate -A license-not-encountered licenses bans sources
fi
cargo test --quiet --locked -- "$@"
