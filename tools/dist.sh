#!/usr/bin/env bash
# Builds the sdist, and from it the wheel, into dist/; looks at what is in the wheel; installs it with what it asks for
# into an empty environment; and there, away from these sources, makes a new project and runs it and the demo.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
away=$(mktemp -d)
env=$away/env
trap 'rm -rf "$away"' EXIT
started=$SECONDS

rm -rf dist
"$uv" build -q --no-build-isolation --python .venv/bin/python -o dist
wheel=$(echo dist/*.whl)
.venv/bin/python -m tools.check_wheel "$wheel"

"$uv" venv -q --no-project --python .venv/bin/python "$env"
"$uv" pip install -q --python "$env/bin/python" --constraint requirements/run.txt "$wheel[demo]"

unset PYTHONPATH DAGSTER_HOME ALIGNED_PROJECT
cd "$away"
package=$("$env/bin/python" -c 'import aligned_dagster; print(aligned_dagster.__path__[0])')
[[ $package == "$env"/* ]] || { echo "dist: the demo would run from $package" >&2; exit 1; }

"$env/bin/aligned-dagster" init shop >/dev/null
(cd shop && "$env/bin/aligned-dagster" check && "$env/bin/aligned-dagster" materialize)

mkdir demo
cat >demo/pyproject.toml <<TOML
[tool.aligned_dagster]
contracts = "$package/demo/contracts/**/*.py"
assets = "$package/demo/training.py"
TOML
(cd demo && "$env/bin/aligned-dagster" materialize)
cd - >/dev/null
echo "$wheel runs. That took $((SECONDS - started)) s"
