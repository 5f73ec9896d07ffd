#!/usr/bin/env bash
# Installs from PyPI, into target/tools/venv, what the tests judge our metrics, manifests and schemas with: parsers that owe nothing to our own
# code. Says what it installs; says nothing when all is there. Several tests may call it at once.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(prometheus-client==0.26.0 kubernetes-validate==1.37.0 dockerfile-parse==2.0.1 jsonschema==4.26.0 ocsf-json-schema==1.2.0)
TOOLS="${CARGO_TARGET_DIR:-$PWD/target}/tools"
VENV="$TOOLS/venv"

mkdir -p "$TOOLS"
exec 9>"$TOOLS/install.lock"
flock 9

if [ "$(cat "$VENV/installed" 2>/dev/null || true)" = "${PACKAGES[*]}" ]; then exit 0; fi
echo "installing with pip into $VENV: ${PACKAGES[*]}"
python3 -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "${PACKAGES[@]}"
echo "${PACKAGES[*]}" >"$VENV/installed"
