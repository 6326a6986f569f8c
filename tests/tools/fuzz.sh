#!/bin/sh
# fuzz.sh SECONDS FUZZER...: runs each for so long, from seeds made of tests/vectors. Finds go beside the fuzzer.
set -eu
seconds=$1
shift
[ $# -gt 0 ] || { echo "no fuzzer"; exit 1; }
for fuzzer in "$@"; do
    name=$(basename "$fuzzer" | sed 's/^fuzz_//')
    folder=$(dirname "$fuzzer")
    grown=$folder/grown-$name
    mkdir -p "$grown" "$folder/corpus"
    python3 tests/fuzz/make_corpus.py tests/vectors "$folder/corpus"
    echo "== $name, $seconds s"
    "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$folder/found-$name-" "$grown" "$folder/corpus/$name"
done
