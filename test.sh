#!/usr/bin/env bash
# Installs what the tests need into .venv and runs them.
set -euo pipefail
cd "$(dirname "$0")"
. ./scripts/install.sh
test_packages
install_into_venv '-e' '.[test]'
azurite
exec .venv/bin/python -m pytest -n 2 "$@"
