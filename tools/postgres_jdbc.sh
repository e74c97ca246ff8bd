#!/usr/bin/env bash
# Puts PostgreSQL's driver for Java, with which Spark reads its tables, into .venv/jdbc/postgresql.jar: that of the
# machine where it has one, or else the one of Debian's package, which is unpacked and not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.venv/jdbc/postgresql.jar
installed=/usr/share/java/postgresql.jar

download() {
    (cd "$folder" && apt-get "$@" download -qq libpostgresql-jdbc-java >/dev/null)
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
    if ! download 2>/dev/null; then # the lists of packages may be old, or not there yet; own ones need no rights
        mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
        own=(-o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
        if ! { apt-get "${own[@]}" update -qq && download "${own[@]}"; }; then
            echo "PostgreSQL's JDBC driver could not be downloaded by apt-get: put its jar at $target." >&2
            exit 1
        fi
    fi
    dpkg -x "$folder"/libpostgresql-jdbc-java_*.deb "$folder/unpacked"
    installed=$folder/unpacked$installed
fi
cp -L "$installed" "$target.$$"
mv "$target.$$" "$target"
