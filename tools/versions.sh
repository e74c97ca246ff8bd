#!/usr/bin/env bash
# Runs some of the tests in an environment of its own, .envs/NAME:
#   minimum   the oldest versions that pyproject.toml allows, on the oldest Python that it allows and this machine has
#   newest    the versions of the other locks, on the newest Python that this machine has
# The whole suite runs in .venv: `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
uv=.venv/bin/uv
started=$SECONDS

# Something of each layer, and each package whose oldest version could be too old: polars, pydantic, pandera, Dagster,
# pandas; the drivers of PostgreSQL and S3 against a server. What only repeats itself is left out.
tests=(
    tests/test_import.py
    tests/features/test_derivations.py
    tests/quality/test_pandera_schema.py
    tests/request/test_job.py
    tests/request/test_point_in_time.py
    tests/sources/test_memory_sources.py
    tests/sources/sql/test_types.py
    tests/sources/objects/test_behaviours.py::TestPartitionsInSignedS3
    tests/contracts/test_odcs.py
    tests/contracts/test_publish.py
    tests/orchestration/test_io_manager.py
    tests/orchestration/test_metadata.py
    tests/orchestration/test_publishing.py
)
left_out="quarantine or test_replace or hostile_values or same_verdict or comes_back_the_same"

# The command of a Python, by its version; also of those that pyenv keeps and does not put on the path.
python_of() {
    local found
    for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$found" -c "import sys; sys.exit(f'{sys.version_info[0]}.{sys.version_info[1]}' != '$1')" 2>/dev/null; then
            echo "$found"
            return
        fi
    done
    return 1
}

case $name in
    minimum) wanted=(3.11 3.12 3.13 3.14) ;;
    newest) wanted=(3.14 3.13 3.12 3.11) ;;
    *)
        echo "versions: no such set: $name; there are minimum and newest" >&2
        exit 2
        ;;
esac
for version in "${wanted[@]}"; do
    if python=$(python_of "$version"); then break; fi
done
if [[ -z $python ]]; then
    echo "versions: no Python from 3.11 to 3.14 was found" >&2
    exit 1
fi

env=.envs/$name
if ! "$env/bin/python" -c "import sys; sys.exit(f'{sys.version_info[0]}.{sys.version_info[1]}' != '$version')" 2>/dev/null; then
    "$uv" venv -q --clear --no-project --python "$python" "$env"
fi
"$uv" pip install -q --python "$env/bin/python" --require-hashes -r requirements/build.txt
"$uv" pip sync -q --python "$env/bin/python" --no-build-isolation --require-hashes "requirements/$name.txt"

say="import importlib.metadata as m; print(*(f'{p} {m.version(p)}' for p in ('polars', 'dagster', 'pydantic', 'pyarrow')), sep=', ')"
echo "Python $version, $("$env/bin/python" -c "$say")"
"$env/bin/python" -m pytest -q -p no:cacheprovider -n "${WORKERS:-auto}" --dist loadfile "${tests[@]}" \
    -k "not ($left_out)" ${PYTEST_ARGS:-}
echo "The $name versions took $((SECONDS - started)) s"
