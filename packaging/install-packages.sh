#!/usr/bin/env bash
# Installs with apt what a Debian-like machine lacks, as root or through sudo. Says what; says nothing when all is there.
#   build   a C compiler: ring and zstd have C and assembly in them
#   test    build, and: python3 with venv, Node.js with npm, zstd, systemd (systemd-analyze), logrotate, bindfs, PostgreSQL 15 with pgAudit,
#           pgbouncer, MariaDB 10.11; libclang, bzip2 and Debian's keys for the judge of the statement reader
set -euo pipefail

main() {
  case "${1:-}" in
    build) build ;;
    test) build; tests ;;
    *) echo "usage: packaging/install-packages.sh build|test" >&2; exit 2 ;;
  esac
  install_missing
}

missing=()

build() {
  command -v cc >/dev/null || missing+=(build-essential)
}

tests() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  command -v zstd >/dev/null || missing+=(zstd)
  command -v npm >/dev/null || missing+=(nodejs npm)
  command -v systemd-analyze >/dev/null || missing+=(systemd)
  # Not in everyone's PATH.
  [ -x /usr/sbin/logrotate ] || missing+=(logrotate)
  command -v bindfs >/dev/null || missing+=(bindfs)
  if [ ! -x /usr/lib/postgresql/15/bin/pgbench ] || [ ! -e /usr/share/postgresql/15/extension/pgaudit.control ]; then
    missing+=(postgresql-15 postgresql-15-pgaudit)
  fi
  [ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)
  if [ ! -x /usr/sbin/mariadbd ] || [ ! -e /usr/lib/mysql/plugin/server_audit.so ]; then missing+=(mariadb-server); fi
  # Not libclang-cpp, which is another library.
  compgen -G '/usr/lib/*/libclang-[0-9]*.so*' >/dev/null || missing+=(libclang1)
  command -v bzip2 >/dev/null || missing+=(bzip2)
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
}

install_missing() {
  if [ "${#missing[@]}" -eq 0 ]; then return; fi
  if ! command -v apt-get >/dev/null; then
    echo "not a Debian-like machine; install what corresponds to: ${missing[*]}" >&2
    exit 1
  fi
  echo "installing with apt: ${missing[*]}"
  as_root apt-get update -qq </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

main "$@"
