#!/bin/sh
# Serves the demo hospital; makes it first where there is none. ISOCENTER_DEMO names another folder for it.
# Arguments go to app.py, e.g. --port 8060.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
folder=${ISOCENTER_DEMO:-data}
export ISOCENTER_CONFIG="$folder/demo/isocenter.toml"

if [ ! -e "$folder/ready" ]; then
    echo "Making the demo hospital in $folder; this takes a few minutes, once." >&2
    rm -rf "$folder/demo" "$folder/store"
    mkdir -p "$folder"
    ISOCENTER_DATA="$folder/store"
    export ISOCENTER_DATA
    $python -m etl demo --out "$folder/demo" --seed 7 --scale 0.06
    $python -m etl load "$folder/demo/files"
    touch "$folder/ready"
fi
export ISOCENTER_DATA="$folder/store"
exec $python app.py "$@"
