#!/bin/sh
# Makes the virtual environment named as the first argument, with the pinned packages of requirements*.txt.
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv}
uv_version=0.13.9

say() { printf '%s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && new_enough "$name"; then command -v "$name"; return; fi
    done
    say "Isocenter needs Python 3.11 or newer, and found none. On Debian 12, Ubuntu 24.04 and later:"
    say "    apt-get install python3 python3-venv"
    exit 1
}

# Debian and Ubuntu ship Python without ensurepip, which a virtual environment with pip needs.
provide_venv() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    package="$("$1" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "$1 cannot make virtual environments; installing $package."
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$package" >/dev/null
        return
    fi
    say "$1 cannot make virtual environments: its package $package is missing. As root:"
    say "    apt-get install $package"
    exit 1
}

find_uv() {
    if command -v uv >/dev/null; then command -v uv; return; fi
    if [ ! -x "$venv/bin/uv" ]; then "$venv/bin/python" -m pip install --quiet "uv==$uv_version" >&2 || return 0; fi
    echo "$venv/bin/uv"
}

if ! { [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python"; }; then
    python=$(find_python)
    provide_venv "$python"
    "$python" -m venv --clear "$venv"
fi

uv=$(find_uv)
if [ -n "$uv" ]; then
    say "Installing into $venv with uv."
    if "$uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements.txt -r requirements-dev.txt; then
        exit 0
    fi
    say "uv could not install; trying pip."
else
    say "Installing into $venv with pip, for uv cannot be had; this takes some minutes."
fi
"$venv/bin/python" -m pip install --quiet --require-hashes -r requirements.txt -r requirements-dev.txt
