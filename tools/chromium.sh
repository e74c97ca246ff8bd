#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests that click through the web UI: Debian's package where there is none.
set -euo pipefail

has_chromium() {
    command -v chromium >/dev/null || [[ -x /usr/bin/chromium ]]
}

if has_chromium; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The browser tests need Chromium: install it so that 'chromium' is on PATH." >&2
    exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "The browser tests need Chromium, and only root can install it: apt-get install chromium" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "Installing Chromium for the browser tests (about a minute)"
export DEBIAN_FRONTEND=noninteractive
if ! { ${as_root[@]+"${as_root[@]}"} apt-get update -qq && ${as_root[@]+"${as_root[@]}"} apt-get install -y -qq chromium >/dev/null; } ||
    ! has_chromium; then
    echo "Chromium could not be installed by apt-get. Install it so that 'chromium' is on PATH." >&2
    exit 1
fi
