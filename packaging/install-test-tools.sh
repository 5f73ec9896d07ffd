#!/usr/bin/env bash
# Installs what the tests of packaging and metrics judge our files with: tools that owe nothing to our own code.
#   apt   systemd (systemd-analyze), python3-venv       only where they are missing
#   PyPI  into target/tools/venv, in the versions below
# Says what it installs; says nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(prometheus-client==0.26.0 kubernetes-validate==1.37.0 dockerfile-parse==2.0.1)
TOOLS="${CARGO_TARGET_DIR:-$PWD/target}/tools"
VENV="$TOOLS/venv"

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_debian() {
  echo "installing with apt: $*"
  as_root apt-get update -qq </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

mkdir -p "$TOOLS"
exec 9>"$TOOLS/install.lock"
flock 9

missing=()
command -v systemd-analyze >/dev/null || missing+=(systemd)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then install_debian "${missing[@]}"; fi

if [ "$(cat "$VENV/installed" 2>/dev/null || true)" != "${PACKAGES[*]}" ]; then
  echo "installing with pip into $VENV: ${PACKAGES[*]}"
  python3 -m venv "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "${PACKAGES[@]}"
  echo "${PACKAGES[*]}" >"$VENV/installed"
fi
