#!/bin/sh
# fuzz.sh SECONDS FUZZER...: runs each for so long, from the corpus kept in tests/fuzz/corpus/<name>. Finds go beside the fuzzer.
set -eu
seconds=$1
shift
[ $# -gt 0 ] || { echo "no fuzzer"; exit 1; }
for fuzzer in "$@"; do
    name=$(basename "$fuzzer" | sed 's/^fuzz_//')
    grown=$(dirname "$fuzzer")/corpus-$name
    mkdir -p "$grown"
    echo "== $name, $seconds s"
    kept=tests/fuzz/corpus/$name
    [ -d "$kept" ] || kept=
    "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$(dirname "$fuzzer")/found-$name-" "$grown" $kept
done
