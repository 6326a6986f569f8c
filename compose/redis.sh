#!/bin/sh
# meerkat-redis: the Redis of compose.yaml.
#
#   serve [OPTION]...   redis-server with redis.conf; options of redis-server come after it
#   ping                0 when it answers and has loaded its file
#   cli [COMMAND]...    redis-cli as the nodes' user: `docker compose exec redis meerkat-redis cli HGETALL 'mk:{c}:facts'`
#
# The password is made at the first start and stays in a file on a volume that the nodes read: none is in this repository,
# none needs to be thought of.
set -eu
umask 027
secret=/run/meerkat/store-password
# The rights of docs/keys.md and redis/preflight.h.
rights="~mk:* resetchannels -@all +evalsha +script|load +ping +select +info +config|get +time +del +hget +hmget +hset +hdel \
+hkeys +hlen +hgetall +hscan +xadd +xrange +xtrim +xdel"

serve() {
    if [ ! -s "$secret" ]; then
        head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$secret.new"
        mv "$secret.new" "$secret"
    fi
    # Nobody can log in as `default`, but Redis reads its own file back under that name: without rights of its user it would skip
    # every transaction in there, and lose them (a line in its log apiece is all that it says).
    printf 'user default off ~* &* +@all\nuser meerkat on >%s %s\n' "$(cat "$secret")" "$rights" >/data/users.acl
    exec redis-server /etc/meerkat/redis.conf --aclfile /data/users.acl "$@"
}

cli() {
    REDISCLI_AUTH=$(cat "$secret")
    export REDISCLI_AUTH
    exec redis-cli --user meerkat "$@"
}

verb=${1:-serve}
[ $# -eq 0 ] || shift
case $verb in
serve) serve "$@" ;;
ping) [ "$(cli PING 2>/dev/null)" = PONG ] ;;
cli) cli "$@" ;;
*)
    echo "meerkat-redis: $verb is none of serve, ping, cli" >&2
    exit 2
    ;;
esac
