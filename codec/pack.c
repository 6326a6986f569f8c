#include "codec/pack.h"

int buf_write(void *out, const char *at, size_t bytes)
{
    struct buf *buf = out;
    buf_append(buf, at, bytes);
    return buf->failed ? -1 : 0;
}

/* 0xde and two bytes of count: msgpack-c is asked for the largest such map, and the count is set when it is known. */
void map_open(struct map_pack *map, struct buf *out)
{
    *map = (struct map_pack){.out = out, .head = out->bytes};
    msgpack_packer_init(&map->packer, out, buf_write);
    msgpack_pack_map(&map->packer, UINT16_MAX);
}

void map_close(struct map_pack *map)
{
    if (map->out->failed)
        return;
    map->out->at[map->head + 1] = (char)(map->count >> 8);
    map->out->at[map->head + 2] = (char)(map->count & 0xff);
}

static void put_str(struct map_pack *map, struct span text)
{
    msgpack_pack_str(&map->packer, text.bytes);
    msgpack_pack_str_body(&map->packer, text.at, text.bytes);
}

void map_key(struct map_pack *map, const char *key)
{
    put_str(map, span_of(key));
    map->count++;
}

void map_text(struct map_pack *map, const char *key, struct span text)
{
    if (!span_given(text))
        return;
    map_key(map, key);
    put_str(map, text);
}

void map_raw(struct map_pack *map, const char *key, struct span msgpack)
{
    if (!msgpack.bytes)
        return;
    map_key(map, key);
    buf_append(map->out, msgpack.at, msgpack.bytes);
}

void map_bytes(struct map_pack *map, const char *key, struct span bytes)
{
    if (!span_given(bytes))
        return;
    map_key(map, key);
    msgpack_pack_bin(&map->packer, bytes.bytes);
    msgpack_pack_bin_body(&map->packer, bytes.at, bytes.bytes);
}

void map_u64(struct map_pack *map, const char *key, uint64_t number)
{
    map_key(map, key);
    msgpack_pack_uint64(&map->packer, number);
}

void map_some(struct map_pack *map, const char *key, uint64_t number)
{
    if (number)
        map_u64(map, key, number);
}

void map_bool(struct map_pack *map, const char *key, bool yes)
{
    map_key(map, key);
    if (yes)
        msgpack_pack_true(&map->packer);
    else
        msgpack_pack_false(&map->packer);
}
