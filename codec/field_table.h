/* How the tables of keys are written (fields.h). Private to the codec. */
#ifndef MEERKAT_CODEC_FIELD_TABLE_H
#define MEERKAT_CODEC_FIELD_TABLE_H

#include "codec/fields.h"

#define COUNT(table)     (sizeof(table) / sizeof *(table))
#define AT(type, member) offsetof(struct type, member)

/* clang-format off */
#define TEXT(text, at, least_, most_)  {.key = text, .type = FIELD_TEXT, .offset = at, .least = least_, .most = most_}
#define NEED(text, at, least_, most_)  {.key = text, .type = FIELD_TEXT, .offset = at, .least = least_, .most = most_, .required = true}
#define TOKEN(text, at)                {.key = text, .type = FIELD_TOKEN, .offset = at, .least = 1, .most = MESSAGE_ID_BYTES_MAX}
#define SESSION(text, at, required_)   {.key = text, .type = FIELD_SESSION, .offset = at, .required = required_}
#define U64(text, at)                  {.key = text, .type = FIELD_U64, .offset = at}
#define UP_TO(text, at, most_)         {.key = text, .type = FIELD_U64, .offset = at, .most = most_}
#define BOOL(text, at)                 {.key = text, .type = FIELD_BOOL, .offset = at}
#define RAW(text, at)                  {.key = text, .type = FIELD_RAW, .offset = at}
#define ENUM(text, at, names, count)   {.key = text, .type = FIELD_ENUM, .offset = at, .most = count, .name = names##_text}
#define NEED_ENUM(text, at, names, count) \
    {.key = text, .type = FIELD_ENUM, .offset = at, .most = count, .name = names##_text, .required = true}

#define HEADER(type, h) \
    NEED("id", AT(type, h.id), 1, MESSAGE_ID_BYTES_MAX), U64("ts", AT(type, h.ts)), \
    TEXT("pub", AT(type, h.pub), 1, MESSAGE_ID_BYTES_MAX), U64("pe", AT(type, h.pe)), U64("ps", AT(type, h.ps))
/* clang-format on */

static inline bool is_nil(struct span raw)
{
    return raw.bytes == 1 && (uint8_t)raw.at[0] == 0xc0;
}

#endif
