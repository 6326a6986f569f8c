#!/bin/sh
# The core is pure: of what its objects do not define themselves, only memory, text and assert remain. Prints what else is called.
set -u
allowed='^(mem[a-z]+|str[a-z]+|v?snprintf|__(mem[a-z]+|str[a-z]+|v?snprintf)_chk|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$'
[ $# -gt 0 ] || { echo "no object of the core"; exit 1; }
defined=$(mktemp)
trap 'rm -f "$defined"' EXIT
nm --defined-only -f posix "$@" | awk 'NF > 1 { print $1 }' | sort -u >"$defined"
impure=$(nm -A -u -f posix "$@" | awk '{ print $2, $1 }' | sort -u | while read -r symbol object; do
    echo "$symbol" | grep -qE "$allowed" || grep -qxF -- "$symbol" "$defined" || echo "${object%:} calls $symbol"
done)
[ -z "$impure" ] && exit 0
echo "$impure"
exit 1
