#!/usr/bin/env bash
# Makes .venv where it is missing and installs into it, at the versions and hashes of requirements/:
#   build   only the tools that install and build
#   run     also what the demo runs on, and this project; other packages that are there stay
#   spark   also Spark, and duckdb also DuckDB, for the demo on that engine
#   dev     also what the tests and checks need; packages that the lock does not name are removed
set -euo pipefail
cd "$(dirname "$0")/.."
what=$1
python=.venv/bin/python
started=$SECONDS

fail() {
    echo "install: $*" >&2
    exit 1
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "no Python from 3.11 to 3.14 was found; install one, or name it: make PYTHON=/path/to/python ..."
}

if ! "$python" -c '' 2>/dev/null; then
    found=$(find_python)
    echo "Making .venv with $("$found" --version)"
    if ! "$found" -m venv --clear .venv; then
        rm -rf .venv
        fail "$found could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
    fi
fi

echo "Installing the $what requirements into .venv (a first time takes about a minute)"
if uv --version >/dev/null 2>&1; then
    uv pip install -q --python "$python" --require-hashes -r requirements/build.txt
else
    "$python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/build.txt
fi

uv=(.venv/bin/uv pip)
flags=(-q --python "$python" --no-build-isolation)
case $what in
    build) ;;
    run | spark | duckdb)
        "${uv[@]}" install "${flags[@]}" --require-hashes --compile-bytecode -r "requirements/$what.txt"
        ;;
    dev) "${uv[@]}" sync "${flags[@]}" --require-hashes --compile-bytecode requirements/dev.txt ;;
    *) fail "unknown set of requirements: $what" ;;
esac
if [[ $what != build ]]; then
    "${uv[@]}" install "${flags[@]}" --no-deps --editable .
fi

case $what in
    dev) touch .venv/build.stamp .venv/run.stamp .venv/spark.stamp .venv/duckdb.stamp .venv/dev.stamp ;;
    run) touch .venv/build.stamp .venv/run.stamp ;;
    spark | duckdb) touch .venv/build.stamp .venv/run.stamp ".venv/$what.stamp" ;;
    build) touch .venv/build.stamp ;;
esac
echo "Installed in $((SECONDS - started)) s"
