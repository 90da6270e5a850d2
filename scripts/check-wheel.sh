#!/usr/bin/env bash
# Builds the wheel, installs it in an empty environment outside the checkout, and runs the demo there.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$root/.venv/bin/python" -m build --quiet --wheel --outdir "$work/dist" "$root"
python3 -m venv "$work/venv"
wheel="$(ls "$work"/dist/auditpack-*.whl)"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$root/constraints.txt" "${wheel}[demo]"
cd "$work"
"$work/venv/bin/auditpack" demo --output out --json >demo.json
"$work/venv/bin/auditpack" verify --config out/auditpack.yaml
"$work/venv/bin/python" - <<'PY'
import json, pathlib
said = json.load(open("demo.json"))
for name in ("pack", "site", "store"):
    assert pathlib.Path(said[name]).exists(), name
print("the wheel runs the demo outside the checkout:", said["scores"])
PY
