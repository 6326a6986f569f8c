#!/bin/sh
# Runs cmocka programs one after the other and adds up. Fails when one fails, when one ran nothing, when none was given, or when
# something was skipped. Shows the lines that begin with `## `. Last line: N passed, N failed[, N skipped].
set -u
passed=0 failed=0 skipped=0 empty=0
for program in "$@"; do
    out=$(timeout 120 "$program" 2>&1)
    status=$?
    ok=$(printf '%s\n' "$out" | grep -c '^\[       OK \]')
    # cmocka names a failed test twice.
    bad=$(printf '%s\n' "$out" | grep '^\[  FAILED  \] [a-z_].*[^:]$' | sort -u | wc -l)
    skip=$(printf '%s\n' "$out" | grep -c '^\[  SKIPPED \] [a-z_]')
    printf '%s\n' "$out" | sed -n 's/^## //p'
    if [ "$status" -ne 0 ] || [ "$bad" -ne 0 ]; then
        printf '%s\n' "$out"
        [ "$bad" -gt 0 ] || bad=1
    fi
    if [ "$ok" -eq 0 ]; then
        echo "$program ran no test"
        empty=$((empty + 1))
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
[ "$passed" -gt 0 ] || empty=$((empty + 1))
failed=$((failed + empty))
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ]
