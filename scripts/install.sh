# Sourced by demo.sh, test.sh and .ci/run: system packages that are missing, and the environment.

# Install the Debian packages that are missing, as root or with sudo; without either, name them.
system_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        as_root="sudo"
        if ! command -v sudo >/dev/null; then
            echo "These Debian packages are missing; install them as root, then run this again:" >&2
            echo "  apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "Installing Debian packages: ${missing[*]}" >&2
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

# What the program and its tests need of Debian.
test_packages() {
    system_packages libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 chromium poppler-utils \
        zstd jq openssl softhsm2
    command -v npm >/dev/null || system_packages nodejs npm
}

# Make .venv if it is not there and install into it, with the versions of constraints.txt.
install_into_venv() {
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt "$@"
}

# Microsoft's emulator of Azure Blob Storage, which the tests of that store run against.
azurite() {
    [ -x .venv/azurite/node_modules/.bin/azurite-blob ] ||
        npm install --silent --no-audit --no-fund --prefix .venv/azurite azurite@3.35.0
}
