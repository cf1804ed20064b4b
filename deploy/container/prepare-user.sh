#!/bin/sh
# prepare-user.sh: the user that everything runs as, and the folders that are its own.
set -eu
groupadd --gid 10001 driftmap
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /scratch --shell /usr/sbin/nologin driftmap
for folder in scratch data certs certs/authority certs/scheduler certs/worker certs/client; do
  install -d -o 10001 -g 10001 -m 700 "/$folder"
done
