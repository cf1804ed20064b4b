#!/bin/sh
# warm-kernels.sh ENVIRONMENT: compile the kernels into ENVIRONMENT/kernels, by a small run.
#
# numba takes a compiled kernel when its file's time of change is the one it saw. Layers of an image may keep whole
# seconds only, so all files get one first. Processors of another kind compile again.
set -eu
find "$1/lib" -name '*.py' -exec touch -d @1700000000 {} +
"$1/bin/python" -m compileall -q "$1/lib" || true # some packages carry files for other versions of Python
work=$(mktemp -d)
NUMBA_CACHE_DIR="$1/kernels" "$1/bin/driftmap" demo --no-open --scheduler serial --out "$work"
rm -rf "$work"
