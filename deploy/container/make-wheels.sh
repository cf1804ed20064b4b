#!/bin/sh
# make-wheels.sh SOURCE WHEELS: wheels of driftmap and of all that it needs.
set -eu
python -m pip wheel --quiet --no-cache-dir --wheel-dir "$2" "$1[tls]"
