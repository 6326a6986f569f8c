#!/bin/sh
# Includes point inward, and no library leaves its folder. Prints each line that breaks this.
set -u

libc='<(assert|errno|inttypes|limits|math|signal|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|ctype)\.h>'
posix='<(dirent|fcntl|getopt|grp|poll|pthread|pwd|regex|sys/[a-z]+|unistd|arpa/inet|netinet/[a-z]+|netdb|termios)\.h>'
pure='<(assert|inttypes|limits|stdarg|stdbool|stddef|stdint|stdio|string)\.h>'
wrong=0

# includes ALLOWED FILE...: every include of the files matches the expression.
includes() {
    allowed=$1
    shift
    lines=$(grep -HnE '^ *# *include' "$@" | grep -vE "include ($allowed)")
    [ -z "$lines" ] || { echo "$lines"; wrong=1; }
}

# names EXPRESSION FOLDER FILE...: the expression stands in code of no file outside the folder.
names() {
    name=$1 folder=$2
    shift 2
    lines=$(grep -HnE "(^|[^A-Za-z0-9_])$name" "$@" | grep -v "^$folder/" | grep -vE '^[^:]*:[0-9]*: *(/\*|\*)')
    [ -z "$lines" ] || { echo "$lines"; wrong=1; }
}

shell=$(ls node/*.[ch] | grep -vE '^node/(driver|outgoing|builtin)[a-z_]*\.')
includes "\"node/core/|$pure" node/core/*.[ch]
includes "\"(codec|node/core)/|$libc|<msgpack" codec/*.[ch]
includes "\"(bus|codec|node/core)/|$libc|$posix|<nng/|<jansson\.h>|<microhttpd\.h>" bus/*.[ch]
includes "\"(redis|codec|node/core)/|$libc|$posix|<(hiredis/[a-z]+|uv|lua|lualib|lauxlib)\.h>" redis/*.[ch]
includes "\"(node|codec)/|$libc" $(ls node/driver*.[ch] node/outgoing*.[ch] node/builtin*.[ch] 2>/dev/null)
includes "\"(node|bus|redis|codec)/|$libc|$posix|<(uv|microhttpd)\.h>" $shell

all=$(ls node/core/*.[ch] node/*.[ch] codec/*.[ch] bus/*.[ch] redis/*.[ch])
names 'msgpack_[a-z]' codec $all
names 'nng_[a-z]' bus $all
names 'redis[A-Z]' redis $all
lines=$(grep -nE '(^|[^A-Za-z0-9_])uv_[a-z]' node/core/*.[ch] codec/*.[ch] bus/*.[ch] node/driver*.[ch] node/outgoing*.[ch])
[ -z "$lines" ] || { echo "$lines"; wrong=1; }
exit $wrong
