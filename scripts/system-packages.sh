#!/bin/sh
# Installs the system packages that some tests use, where they are missing and this user may. Arguments limit it to some.
# Without them those tests skip, each with the reason.
set -eu

have() {
    case $1 in
        chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
        dcmtk) command -v storescu && command -v dcmdump ;;
        orthanc) command -v Orthanc ;;
        postgresql) command -v pg_ctl || ls /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null ;;
        *) echo "system-packages.sh: $1 is none of chromium, dcmtk, orthanc, postgresql" >&2; exit 2 ;;
    esac >/dev/null
}

missing=
for package in "${@:-chromium dcmtk orthanc postgresql}"; do
    for name in $package; do have "$name" || missing="$missing $name"; done
done
if [ -z "$missing" ]; then exit 0; fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed, and only root can with apt-get:$missing" >&2
    echo "Tests that need them are skipped. To run them all: sudo apt-get install$missing" >&2
    exit 0
fi

echo "Installing$missing" >&2
apt-get update -qq || echo "apt-get update failed; going on with the lists that are there" >&2
for name in $missing; do
    # RUNLEVEL=1 keeps Debian from starting servers (Orthanc, PostgreSQL): the tests start their own.
    if ! RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$name" >/dev/null; then
        echo "$name could not be installed; tests that need it are skipped" >&2
    elif ! have "$name"; then
        echo "$name is installed but does not run here (on Ubuntu, chromium is a snap); tests that need it are skipped" >&2
    fi
done
