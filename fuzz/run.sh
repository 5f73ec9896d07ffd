#!/bin/sh
# Runs every fuzz target for this many seconds: fuzz/run.sh SECONDS. Ends with 1 when one of them finds something.
set -u
seconds="${1:-60}"
cd "$(dirname "$0")/.." || exit 2

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: cargo-fuzz is missing, installing it: cargo install --locked cargo-fuzz"
    cargo install --locked cargo-fuzz || exit 2
fi

# The instrumentation needs unstable flags. They work with the pinned stable compiler when it is told so, and
# without a sanitizer: there is no unsafe code to watch.
export RUSTC_BOOTSTRAP=1

found=0
for target in fuzz/fuzz_targets/*.rs; do
    target="$(basename "$target" .rs)"
    echo "fuzz: $target for $seconds s"
    # New inputs go to a folder of their own, so that a run leaves the seeds as they are.
    grown="fuzz/target/corpus/$target"
    mkdir -p "$grown"
    # Only one target needs all of the agent, which takes long to build.
    features=""
    [ "$target" != redact ] || features="--features agent"
    words=""
    [ ! -f "fuzz/dictionaries/$target.dict" ] || words="-dict=fuzz/dictionaries/$target.dict"
    # shellcheck disable=SC2086 # no features and no words are no arguments
    cargo fuzz run --sanitizer none $features "$target" "$grown" "fuzz/corpus/$target" -- $words \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -verbosity=0 -print_final_stats=1 || found=1
done
exit "$found"
