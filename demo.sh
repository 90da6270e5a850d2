#!/usr/bin/env bash
# Installs auditpack into .venv (with Debian's Pango if it is missing) and runs the demo.
set -euo pipefail
cd "$(dirname "$0")"
. ./scripts/install.sh
system_packages libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
install_into_venv '.[demo]'
exec .venv/bin/auditpack demo "$@"
