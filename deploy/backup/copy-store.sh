#!/usr/bin/env bash
# Copy a store, a folder, while others may write to it; then check the copy. A second call copies what is new.
#
#     copy-store.sh STORE COPY
#
# Ends with the exit code of `driftmap verify COPY`: 0 when the copy is whole.
set -euo pipefail
store=${1:?the store to copy} copy=${2:?where the copy is to be}

copy_once() {
    # The lock says how long the log is, and the log names files that are there by then and do not change: each is
    # copied before what it speaks of. A file that was removed meanwhile is no fault yet; the check decides.
    for folder in lock commits; do
        mkdir -p "$copy/$folder"
        cp -Rp "$store/$folder/." "$copy/$folder/" || true
    done
    for entry in "$store"/*; do
        case ${entry##*/} in
            lock | commits) ;;
            *) cp -Rup "$entry" "$copy/" || true ;;
        esac
    done
}

for attempt in 1 2 3; do
    copy_once
    # What `prune` or `verify --clean` removed meanwhile may be missing; the next log no longer names it.
    driftmap verify "$copy" && exit 0
    echo "attempt $attempt: the copy is not whole yet" >&2
done
exit 1
