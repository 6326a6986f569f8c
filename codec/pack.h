/* Maps written key by key through msgpack-c: the count is filled in at the end. Absent spans and zero optional values
 * write nothing. Private to the codec. */
#ifndef MEERKAT_CODEC_PACK_H
#define MEERKAT_CODEC_PACK_H

#include <msgpack.h>

#include "codec/buf.h"

struct map_pack {
    struct buf *out;
    msgpack_packer packer;
    size_t head; /* where the map's count stands */
    uint16_t count;
};

void map_open(struct map_pack *map, struct buf *out);
void map_close(struct map_pack *map);
void map_key(struct map_pack *map, const char *key); /* then one value, by map->packer or another map_open */
void map_text(struct map_pack *map, const char *key, struct span text);
void map_raw(struct map_pack *map, const char *key, struct span msgpack);
void map_bytes(struct map_pack *map, const char *key, struct span bytes); /* as bin */
void map_u64(struct map_pack *map, const char *key, uint64_t number);     /* also when it is 0 */
void map_some(struct map_pack *map, const char *key, uint64_t number);    /* unless it is 0 */
void map_bool(struct map_pack *map, const char *key, bool yes);

int buf_write(void *buf, const char *at, size_t bytes); /* msgpack-c's hook */

#endif
