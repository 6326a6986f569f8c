#!/bin/sh
# Prints C source that holds each file named: struct lua_text { name, text } lua_texts[], ended by NULLs. As bytes, since ISO C
# promises string literals of 4,095 characters only.
set -eu
echo '#include "redis/lua_text.h"'
for file in "$@"; do
    printf 'static const char text_%s[] = {\n' "$(basename "$file" .lua)"
    od -An -v -tu1 "$file" | sed -e 's/  */ /g' -e 's/^ //' -e 's/ *$/,/' -e 's/\([0-9]\) /\1, /g' -e 's/^/    /'
    echo '    0};'
done
echo 'const struct lua_text lua_texts[] = {'
for file in "$@"; do
    name=$(basename "$file" .lua)
    printf '    {"%s", text_%s},\n' "$name" "$name"
done
echo '    {0, 0},'
echo '};'
