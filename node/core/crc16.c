#include "node/core/crc16.h"

#include "node/core/limits.h"

uint16_t crc16_xmodem(struct span bytes)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.bytes; i++) {
        crc ^= (uint32_t)(uint8_t)bytes.at[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000u) ? (crc << 1) ^ 0x1021u : crc << 1;
    }
    return (uint16_t)crc;
}

static bool letter_valid(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == ':' || c == '-';
}

bool session_id_valid(struct span session)
{
    if (session.bytes < 1 || session.bytes > SESSION_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < session.bytes; i++)
        if (!letter_valid(session.at[i]))
            return false;
    return true;
}
