#include "codec/topic.h"

#include "node/core/crc16.h"

static const char *const class_names[TOPIC_CLASS_COUNT] = {
    [TOPIC_IN] = "in", [TOPIC_CTL] = "ctl", [TOPIC_NODE] = "node",
    [TOPIC_RE] = "re", [TOPIC_EV] = "ev",   [TOPIC_HB] = "hb",
};

const char *topic_class_name(enum topic_class class)
{
    return (size_t) class < TOPIC_CLASS_COUNT ? class_names[class] : "unknown";
}

enum mk_err frame_split(struct span frame, struct span *topic, struct span *map)
{
    size_t most = frame.bytes < TOPIC_BYTES_MAX + 1 ? frame.bytes : TOPIC_BYTES_MAX + 1;
    const char *zero = most ? memchr(frame.at, 0, most) : NULL;
    if (!zero)
        return MK_ERR_MALFORMED;
    *topic = (struct span){frame.at, (size_t)(zero - frame.at)};
    *map = (struct span){zero + 1, frame.bytes - topic->bytes - 1};
    return map->bytes ? MK_ERR_OK : MK_ERR_MALFORMED;
}

/* Cuts the text up to the next '/' off the front. */
static bool cut(struct span *text, struct span *word)
{
    const char *slash = text->bytes ? memchr(text->at, '/', text->bytes) : NULL;
    if (!slash)
        return false;
    *word = (struct span){text->at, (size_t)(slash - text->at)};
    *text = (struct span){slash + 1, text->bytes - word->bytes - 1};
    return true;
}

static bool read_partition(struct span word, struct topic *out)
{
    if (span_is(word, "*")) {
        out->any_partition = true;
        return true;
    }
    if (word.bytes != 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        char c = word.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        out->partition = 16 * out->partition + (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static bool read_name(struct span word, struct topic *out)
{
    size_t most = out->class == TOPIC_IN || out->class == TOPIC_CTL || out->class == TOPIC_EV ? SESSION_ID_BYTES_MAX
                                                                                              : MESSAGE_ID_BYTES_MAX;
    bool may_be_any = out->class != TOPIC_RE && out->class != TOPIC_HB;
    if (may_be_any && span_is(word, "*")) {
        out->any_name = true;
        return true;
    }
    out->name = word;
    return session_id_valid(word) && word.bytes <= most;
}

enum mk_err topic_parse(struct span text, struct topic *out)
{
    *out = (struct topic){.class = TOPIC_CLASS_COUNT};
    struct span word;
    if (!cut(&text, &word))
        return MK_ERR_MALFORMED;
    for (enum topic_class c = TOPIC_IN; c < TOPIC_CLASS_COUNT; c++)
        if (span_is(word, class_names[c]))
            out->class = c;
    if (out->class == TOPIC_CLASS_COUNT)
        return MK_ERR_MALFORMED;
    bool has_partition = out->class == TOPIC_IN || out->class == TOPIC_CTL;
    if (has_partition && (!cut(&text, &word) || !read_partition(word, out)))
        return MK_ERR_MALFORMED;
    if (!read_name(text, out) || (out->any_partition && !out->any_name))
        return MK_ERR_MALFORMED;
    return MK_ERR_OK;
}

struct topic_writer {
    char *at;
    size_t bytes, room;
};

static void put(struct topic_writer *out, struct span text)
{
    for (size_t i = 0; i < text.bytes && out->bytes < out->room; i++)
        out->at[out->bytes++] = text.at[i];
}

size_t topic_write(char *out, size_t room, const struct topic *topic)
{
    static const char digits[] = "0123456789abcdef";
    struct topic_writer to = {out, 0, room};
    put(&to, span_of(topic_class_name(topic->class)));
    put(&to, SPAN_LIT("/"));
    if (topic->class == TOPIC_IN || topic->class == TOPIC_CTL) {
        char hex[4];
        for (int i = 0; i < 4; i++)
            hex[i] = digits[(topic->partition >> (12 - 4 * i)) & 15];
        put(&to, topic->any_partition ? SPAN_LIT("*") : (struct span){hex, 4});
        put(&to, SPAN_LIT("/"));
    }
    put(&to, topic->any_name ? SPAN_LIT("*") : topic->name);
    put(&to, (struct span){"", 1});
    return to.bytes;
}
