#!/usr/bin/env bash
# Puts PostgreSQL's driver for Java, with which Spark reads its tables, into .venv/jdbc/postgresql.jar: that of the
# machine where it has one, or else the one of Debian's package, which is unpacked and not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.venv/jdbc/postgresql.jar
installed=/usr/share/java/postgresql.jar

download() {
    (cd "$1" && apt-get download -qq libpostgresql-jdbc-java >/dev/null)
}

if [[ -s $target ]]; then
    exit 0
fi
mkdir -p "$(dirname "$target")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [[ ! -s $installed ]]; then
    if ! command -v apt-get >/dev/null; then
        echo "The tests of Spark read PostgreSQL by its JDBC driver: put its jar at $target." >&2
        exit 1
    fi
    if ! download "$folder" 2>/dev/null; then # the lists of packages may be old, or not there yet
        if [[ $(id -u) -eq 0 ]]; then apt-get update -qq; else sudo apt-get update -qq; fi
        download "$folder"
    fi
    dpkg -x "$folder"/libpostgresql-jdbc-java_*.deb "$folder/unpacked"
    installed=$folder/unpacked$installed
fi
cp -L "$installed" "$target.$$"
mv "$target.$$" "$target"
