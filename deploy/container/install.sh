#!/bin/sh
# install.sh WHEELS ENVIRONMENT: an environment of these wheels, and of nothing from elsewhere.
set -eu
python -m venv "$2"
"$2/bin/pip" install --quiet --no-cache-dir --no-index --find-links "$1" 'driftmap[tls]'
"$2/bin/pip" check
