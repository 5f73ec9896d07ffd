#!/usr/bin/env bash
# Brings the SQL of PostgreSQL 15's regression suite into the folder that is given: from Debian's source package, through apt with lists
# and archives of its own beside that folder, so that the system's stay as they are. Says what it downloads; says nothing when all is there.
set -euo pipefail

main() {
  local into="$1"
  if [ -e "$into/select.sql" ]; then return; fi
  echo "downloading Debian's source package postgresql-15 (23 MB) with apt: its src/test/regress/sql goes to $into"
  mkdir -p "$into"
  # apt wants absolute paths.
  into="$(cd "$into" && pwd)"
  local own="$into/../apt"
  mkdir -p "$own/lists/partial" "$own/archives/partial"
  configure "$(cd "$own" && pwd)"
  apt-get -qq update
  (cd "$APT_HERE" && apt-get -qq source --download-only postgresql-15)
  # Unpacked elsewhere and moved: the folder is whole or it is not there.
  local fresh="$APT_HERE/fresh"
  rm -rf "$fresh" && mkdir "$fresh"
  tar -xf "$APT_HERE"/postgresql-15_*.orig.tar.* -C "$fresh" --wildcards '*/src/test/regress/sql/*.sql' --strip-components=5
  rm -rf "$into" && mv "$fresh" "$into"
}

configure() {
  export APT_HERE="$1" APT_CONFIG="$1/apt.conf"
  local key=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb-src [signed-by=$key] http://deb.debian.org/debian bookworm main" >"$APT_HERE/sources.list"
  cat >"$APT_CONFIG" <<EOF
Dir::Etc::sourcelist "$APT_HERE/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$APT_HERE/lists";
Dir::Cache::archives "$APT_HERE/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "root";
EOF
}

main "$@"
