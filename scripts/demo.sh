#!/bin/sh
# Serves the demo hospital; makes it first where there is none. ISOCENTER_DEMO names another folder for it than data/demo.
# Arguments go to app.py, e.g. --port 8060.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
demo=${ISOCENTER_DEMO:-data/demo}
unset ISOCENTER_CONFIG
export ISOCENTER_DATA="$demo/store"

if [ ! -e "$demo/ready" ]; then
    # Only a folder that an earlier start of this script began, and did not finish, is emptied.
    if [ -n "$(ls -A "$demo" 2>/dev/null)" ] && [ ! -e "$demo/.made-by-demo" ]; then
        echo "$demo holds something else than a demo; name a new folder in ISOCENTER_DEMO." >&2
        exit 2
    fi
    echo "Making the demo hospital in $demo, once; this takes a minute or two." >&2
    rm -rf "$demo"
    mkdir -p "$demo"
    touch "$demo/.made-by-demo"
    $python -m etl demo --out "$demo" --seed 7 --scale 0.08 >&2
    ISOCENTER_CONFIG="$demo/isocenter.toml" $python -m insights alerts --quiet >&2
    ISOCENTER_CONFIG="$demo/isocenter.toml" $python -m forecasting run >&2
    touch "$demo/ready"
fi
export ISOCENTER_CONFIG="$demo/isocenter.toml"
exec $python app.py --demo "$@"
