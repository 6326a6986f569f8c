/* A frame as a node gets it: topic and map, the topic written again; and the same bytes as a field of the store's
 * hashes. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/message.h"
#include "codec/record.h"
#include "codec/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void try_topic(struct span text)
{
    char again[TOPIC_BYTES_MAX + 1];
    struct topic topic;
    if (topic_parse(text, &topic))
        return;
    size_t bytes = topic_write(again, sizeof again, &topic);
    MUST(bytes == text.bytes + 1 && again[text.bytes] == '\0' && memcmp(again, text.at, text.bytes) == 0);
}

static void try_field(struct span field)
{
    char again[FACT_FIELD_BYTES];
    struct span session, name;
    enum fact_kind kind;
    if (!fact_field_split(field, &session, &kind, &name))
        return;
    MUST(span_equal(span_bytes(again, fact_field(again, session, kind, name)), field));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span frame = span_bytes(data, size), topic, map;
    struct message_head head;
    struct batch_reader reader;
    struct span item;
    try_field(frame);
    if (frame_split(frame, &topic, &map))
        return 0;
    try_topic(topic);
    if (message_head_read(map, &head, NULL) || head.type != MK_BATCH || batch_open(map, &reader, NULL))
        return 0;
    while (batch_next(&reader, &item))
        message_head_read(item, &head, NULL);
    return 0;
}
