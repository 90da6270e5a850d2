#!/usr/bin/env bash
# Installs what the tests need into .venv and runs them.
set -euo pipefail
cd "$(dirname "$0")"
. ./scripts/install.sh
system_packages libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 chromium poppler-utils zstd jq openssl
install_into_venv '-e' '.[test]'
exec .venv/bin/python -m pytest -n 2 "$@"
