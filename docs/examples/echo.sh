#!/bin/sh
# An executor: the result of a run is the run itself, as it came. Frames and keys: docs/executors.md.
while set -- $(head -c 4 | od -An -tu1) && [ $# -eq 4 ]; do
    n=$((($1 << 24) + ($2 << 16) + ($3 << 8) + $4))
    if [ $n -lt 100 ]; then # a cancel, for a run is longer; it comes too late
        head -c $n >/dev/null
        continue
    fi
    m=$((n + 8)) # {result: what came}: eight bytes, and what came
    printf "$(printf '\\%03o' $((m >> 24)) $((m >> 16 & 255)) $((m >> 8 & 255)) $((m & 255)))\\201\\246result"
    head -c $n
done
