#!/bin/bash
# meerkat-probe [PATH]: 0 when GET PATH at this container's HTTP port (MEERKAT_HTTP) is answered with 200 within two seconds;
# prints the answer's body. bash speaks TCP by itself: the image needs no HTTP client for this.
path=${1:-/readyz} port=${MEERKAT_HTTP##*:}
exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$path" >&3
read -r -t 2 _ status _ <&3 || exit 1
while read -r -t 2 line <&3 && [ "$line" != $'\r' ]; do :; done
while read -r -t 2 line <&3; do printf '%s\n' "$line"; done
[ "$status" = 200 ]
