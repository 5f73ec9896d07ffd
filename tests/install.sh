#!/bin/sh
# Installs what the tests need beyond a Rust toolchain, into target/tools. Safe to run again: what is there stays.
# One function a tool; each says what it installs and from where.
set -eu

cd "$(dirname "$0")/.."
tools="${CARGO_TARGET_DIR:-$PWD/target}/tools"

say() { printf 'tests/install.sh: %s\n' "$*"; }

# An S3 server that checks signatures, over a folder: https://crates.io/crates/s3s-fs
install_s3s_fs() {
    version=0.14.1
    if "$tools/bin/s3s-fs" --version 2>/dev/null | grep -q "$version"; then
        say "s3s-fs $version is there"
        return
    fi
    say "installing s3s-fs $version from crates.io into $tools/bin"
    # A target folder of its own: the project's is locked while its own build runs.
    CARGO_TARGET_DIR="$tools/build" cargo install --debug s3s-fs --locked --version "$version" --features binary --root "$tools"
    rm -rf "$tools/build"
}

# AWS as a local server: https://pypi.org/project/moto/
install_moto() {
    version=5.2.5
    if [ "$("$tools/moto/bin/pip" show moto 2>/dev/null | sed -n 's/^Version: //p')" = "$version" ]; then
        say "moto $version is there"
        return
    fi
    say "installing moto $version from PyPI into $tools/moto"
    python3 -m venv "$tools/moto"
    "$tools/moto/bin/pip" install --quiet "moto[server,s3]==$version"
}

# An OpenTelemetry collector, a program within a Python package: https://pypi.org/project/rotel/
install_rotel() {
    version=0.0.1a15
    if [ "$("$tools/rotel/bin/pip" show rotel 2>/dev/null | sed -n 's/^Version: //p')" = "$version" ]; then
        say "rotel $version is there"
        return
    fi
    say "installing rotel $version from PyPI into $tools/rotel"
    python3 -m venv "$tools/rotel"
    "$tools/rotel/bin/pip" install --quiet "rotel==$version"
    packages=$("$tools/rotel/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$tools/bin"
    ln -sf "$packages/rotel/rotel-agent" "$tools/bin/rotel-agent"
}

mkdir -p "$tools"
install_s3s_fs
install_moto
install_rotel
say "done"
