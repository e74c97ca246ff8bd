#!/usr/bin/env bash
# Makes sure that there is a Java for Spark, 17 or later: Debian's or Ubuntu's package where there is none.
set -euo pipefail

has_java() {
    local java=java version
    [[ -z ${JAVA_HOME:-} ]] || java=$JAVA_HOME/bin/java # which Spark takes before the one on PATH
    version=$("$java" -version 2>&1) || return 1
    [[ $version =~ version\ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= 17)) # that of Java 8 is 1.8
}

fail() {
    echo "Spark needs Java 17 or later: $*" >&2
    exit 1
}

if has_java; then
    exit 0
fi
if [[ -n ${JAVA_HOME:-} ]]; then
    fail "JAVA_HOME=$JAVA_HOME has none. Let it name another directory, or unset it."
fi
if ! command -v apt-get >/dev/null; then
    fail "install it so that 'java' is on PATH, or let JAVA_HOME name its directory."
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        fail "only root can install it: apt-get install openjdk-17-jre-headless"
    fi
    as_root=(sudo)
fi
echo "Installing Java for Spark (about a minute)"
export DEBIAN_FRONTEND=noninteractive
${as_root[@]+"${as_root[@]}"} apt-get update -qq || true # an old list may do
for version in 17 21 25; do # each release of the system has some of them
    if ${as_root[@]+"${as_root[@]}"} apt-get install -y -qq "openjdk-$version-jre-headless" >/dev/null 2>&1 && has_java; then
        exit 0
    fi
done
fail "apt-get could not install it. Install it so that 'java' is on PATH."
