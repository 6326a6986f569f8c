#!/bin/sh
# Runs suites, each a target of the Makefile whose last line is `N passed, N failed`, and adds up in one last line of that form.
# Fails when one fails, when one ran nothing, and when something was skipped. MAKE: how to call make.
set -u
log=$(mktemp) status=$(mktemp)
trap 'rm -f "$log" "$status"' EXIT
passed=0 failed=0
for suite in "$@"; do
    echo "== $suite"
    began=$(date +%s)
    { $MAKE "$suite" 2>&1; echo $? >"$status"; } | tee "$log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    ok=$(echo "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
    bad=$(echo "$line" | sed -n 's/^[0-9]* passed, \([0-9]*\) failed.*/\1/p')
    ok=${ok:-0} bad=${bad:-0}
    if [ "$ok" -eq 0 ] && [ "$bad" -eq 0 ]; then
        echo "suite $suite ran nothing"
        bad=1
    elif [ "$(cat "$status")" -ne 0 ] && [ "$bad" -eq 0 ]; then
        echo "suite $suite failed"
        bad=1
    fi
    echo "== $suite: $(($(date +%s) - began)) s"
    passed=$((passed + ok)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
