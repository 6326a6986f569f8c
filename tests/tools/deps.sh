#!/bin/sh
# Installs those of the Debian packages named that are missing, when it may (root, or sudo without a password); else says the line
# that does.
set -u
missing=
for package in "$@"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ]; then
    as=
elif sudo -n true 2>/dev/null; then
    as=sudo
else
    echo "missing Debian packages; as root: $line" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
if ! $as apt-get update -q >/dev/null || ! $as $line -q >/dev/null; then
    echo "could not install; as root: apt-get update && $line" >&2
    exit 1
fi
