/* CRC-16/XMODEM, as Redis Cluster's: polynomial 0x1021, start 0. A session's partition is its id's CRC modulo the
 * partitions. */
#ifndef MEERKAT_CORE_CRC16_H
#define MEERKAT_CORE_CRC16_H

#include "node/core/span.h"

uint16_t crc16_xmodem(struct span bytes);

static inline uint32_t partition_of(struct span session, uint32_t partitions)
{
    return crc16_xmodem(session) % partitions;
}

/* 1..128 bytes of [A-Za-z0-9._:-] */
bool session_id_valid(struct span session);

#endif
