#include "redis/keyspace.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "redis/stream.h"
#include "redis/table.h"

enum object_type { OBJECT_HASH, OBJECT_STREAM };

struct object {
    enum object_type type;
    struct table fields;  /* hash: values are copies of bytes */
    struct stream stream; /* stream */
};

struct keyspace {
    const struct mk_mem *mem;
    struct keyspace_clock clock;
    struct table keys; /* values are objects */
    size_t bytes;
    /* the reply under construction */
    struct keyspace_item *items;
    size_t item_count, item_room;
    bool no_room, wrote;
    char text[2][24]; /* texts that a reply makes itself: TIME, a cursor */
};

struct words {
    const struct span *at;
    size_t count;
};

static const char wrong_type[] = "WRONGTYPE Operation against a key holding the wrong kind of value";
static const char wrong_arity[] = "ERR wrong number of arguments";
static const char wrong_id[] = "ERR Invalid stream ID specified as stream command argument";
static const char no_integer[] = "ERR value is not an integer or out of range";
static const char no_syntax[] = "ERR syntax error";
static const char no_memory[] = "OOM command not allowed when used memory > 'maxmemory'.";

/* --- replies --- */

static void put(struct keyspace *ks, struct keyspace_item item)
{
    if (ks->item_count == ks->item_room) {
        size_t room = ks->item_room * 2;
        struct keyspace_item *items = mem_alloc(ks->mem, room * sizeof *items);
        if (!items) {
            ks->no_room = true;
            return;
        }
        memcpy(items, ks->items, ks->item_count * sizeof *items);
        mem_free(ks->mem, ks->items);
        ks->items = items;
        ks->item_room = room;
    }
    ks->items[ks->item_count++] = item;
}

static void put_number(struct keyspace *ks, size_t number)
{
    put(ks, (struct keyspace_item){.kind = KEYSPACE_NUMBER, .number = (int64_t)number});
}

static void put_array(struct keyspace *ks, size_t count)
{
    put(ks, (struct keyspace_item){.kind = KEYSPACE_ARRAY, .number = (int64_t)count});
}

static void put_text(struct keyspace *ks, struct span text)
{
    put(ks, (struct keyspace_item){.kind = KEYSPACE_TEXT, .text = text});
}

static void put_nil(struct keyspace *ks)
{
    put(ks, (struct keyspace_item){.kind = KEYSPACE_NIL});
}

static void put_error(struct keyspace *ks, const char *text)
{
    put(ks, (struct keyspace_item){.kind = KEYSPACE_ERROR, .text = span_of(text)});
}

/* --- objects --- */

static void *copy_bytes(const struct mk_mem *mem, struct span bytes)
{
    char *copy = mem_alloc(mem, bytes.bytes + 1);
    if (copy && bytes.bytes)
        memcpy(copy, bytes.at, bytes.bytes);
    return copy;
}

static void fields_fini(struct table *fields)
{
    for (struct table_slot *slot = fields->first; slot; slot = slot->after)
        mem_free(fields->mem, slot->value);
    table_fini(fields);
}

static void object_free(const struct mk_mem *mem, struct object *object)
{
    if (!object)
        return;
    if (object->type == OBJECT_HASH && object->fields.mem)
        fields_fini(&object->fields);
    if (object->type == OBJECT_STREAM && object->stream.mem)
        stream_fini(&object->stream);
    mem_free(mem, object);
}

static struct object *object_new(const struct mk_mem *mem, enum object_type type)
{
    struct object *object = mem_alloc(mem, sizeof *object);
    if (!object)
        return NULL;
    object->type = type;
    if (type == OBJECT_STREAM) {
        stream_init(&object->stream, mem);
    } else if (!table_init(&object->fields, mem)) {
        mem_free(mem, object);
        return NULL;
    }
    return object;
}

static size_t object_bytes(const struct object *object)
{
    size_t bytes = 0;
    if (object->type == OBJECT_HASH)
        for (const struct table_slot *slot = object->fields.first; slot; slot = slot->after)
            bytes += slot->name.bytes + slot->bytes;
    else
        for (size_t i = 0; i < object->stream.count; i++)
            bytes += stream_at(&object->stream, i)->bytes;
    return bytes;
}

/* The object of a key for reading; NULL: none, or an error was put (then *ok is false). */
static struct object *look(struct keyspace *ks, struct span key, enum object_type type, bool *ok)
{
    struct table_slot *slot = table_find(&ks->keys, key);
    struct object *object = slot ? slot->value : NULL;
    *ok = !object || object->type == type;
    if (*ok)
        return object;
    put_error(ks, wrong_type);
    return NULL;
}

/* The object of a key for writing, made if there is none; NULL: an error was put. */
static struct object *make(struct keyspace *ks, struct span key, enum object_type type)
{
    bool ok;
    struct object *object = look(ks, key, type, &ok);
    if (object || !ok)
        return object;
    struct table_slot *slot = table_slot_new(&ks->keys, key);
    object = slot ? object_new(ks->mem, type) : NULL;
    if (!object) {
        if (slot)
            table_slot_free(&ks->keys, slot);
        put_error(ks, no_memory);
        return NULL;
    }
    slot->value = object;
    table_link(&ks->keys, slot);
    ks->bytes += key.bytes;
    return object;
}

static void drop_key(struct keyspace *ks, struct table_slot *slot)
{
    ks->bytes -= slot->name.bytes + object_bytes(slot->value);
    object_free(ks->mem, slot->value);
    table_unlink(&ks->keys, slot);
    table_slot_free(&ks->keys, slot);
}

/* A hash without fields is no key. */
static void drop_if_empty(struct keyspace *ks, struct span key)
{
    struct table_slot *slot = table_find(&ks->keys, key);
    const struct object *object = slot ? slot->value : NULL;
    if (object && object->type == OBJECT_HASH && object->fields.count == 0)
        drop_key(ks, slot);
}

/* --- hashes --- */

static void put_field(struct keyspace *ks, const struct object *hash, struct span field)
{
    const struct table_slot *slot = hash ? table_find(&hash->fields, field) : NULL;
    if (slot)
        put_text(ks, span_bytes(slot->value, slot->bytes));
    else
        put_nil(ks);
}

static void do_hget(struct keyspace *ks, struct words w)
{
    bool ok;
    const struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (ok)
        put_field(ks, hash, w.at[2]);
}

static void do_hmget(struct keyspace *ks, struct words w)
{
    bool ok;
    const struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (!ok)
        return;
    put_array(ks, w.count - 2);
    for (size_t i = 2; i < w.count; i++)
        put_field(ks, hash, w.at[i]);
}

/* Slots for all fields of a HSET, chained, so that no memory is found before anything changes. NULL: no memory. */
static struct table_slot *prepare_fields(struct keyspace *ks, const struct table *fields, struct words w)
{
    struct table_slot *first = NULL, **end = &first;
    for (size_t i = 2; i < w.count; i += 2) {
        struct table_slot *slot = table_slot_new(fields, w.at[i]);
        if (slot) {
            slot->value = copy_bytes(ks->mem, w.at[i + 1]);
            slot->bytes = w.at[i + 1].bytes;
            *end = slot;
            end = &slot->chain;
        }
        if (slot && slot->value)
            continue;
        for (struct table_slot *next; first; first = next) {
            next = first->chain;
            mem_free(ks->mem, first->value);
            table_slot_free(fields, first);
        }
        return NULL;
    }
    return first;
}

/* Takes the slot; true: the field is new. */
static bool set_field(struct keyspace *ks, struct table *fields, struct table_slot *slot)
{
    struct table_slot *there = table_find(fields, slot->name);
    ks->bytes += slot->bytes;
    if (!there) {
        ks->bytes += slot->name.bytes;
        table_link(fields, slot);
        return true;
    }
    ks->bytes -= there->bytes;
    mem_free(ks->mem, there->value);
    there->value = slot->value;
    there->bytes = slot->bytes;
    table_slot_free(fields, slot);
    return false;
}

static void do_hset(struct keyspace *ks, struct words w)
{
    if (w.count % 2 != 0) {
        put_error(ks, wrong_arity);
        return;
    }
    struct object *hash = make(ks, w.at[1], OBJECT_HASH);
    if (!hash)
        return;
    struct table_slot *slot = prepare_fields(ks, &hash->fields, w);
    if (!slot) {
        drop_if_empty(ks, w.at[1]);
        put_error(ks, no_memory);
        return;
    }
    size_t added = 0;
    for (struct table_slot *next; slot; slot = next) {
        next = slot->chain;
        added += set_field(ks, &hash->fields, slot);
    }
    ks->wrote = true;
    put_number(ks, added);
}

static void do_hdel(struct keyspace *ks, struct words w)
{
    bool ok;
    struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (!ok)
        return;
    size_t gone = 0;
    for (size_t i = 2; hash && i < w.count; i++) {
        struct table_slot *slot = table_find(&hash->fields, w.at[i]);
        if (!slot)
            continue;
        ks->bytes -= slot->name.bytes + slot->bytes;
        mem_free(ks->mem, slot->value);
        table_unlink(&hash->fields, slot);
        table_slot_free(&hash->fields, slot);
        gone++;
    }
    drop_if_empty(ks, w.at[1]);
    ks->wrote = true;
    put_number(ks, gone);
}

static void do_hkeys(struct keyspace *ks, struct words w)
{
    bool ok;
    const struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (!ok)
        return;
    put_array(ks, hash ? hash->fields.count : 0);
    for (const struct table_slot *slot = hash ? hash->fields.first : NULL; slot; slot = slot->after)
        put_text(ks, slot->name);
}

static void do_hgetall(struct keyspace *ks, struct words w)
{
    bool ok;
    const struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (!ok)
        return;
    put_array(ks, hash ? hash->fields.count * 2 : 0);
    for (const struct table_slot *slot = hash ? hash->fields.first : NULL; slot; slot = slot->after) {
        put_text(ks, slot->name);
        put_text(ks, span_bytes(slot->value, slot->bytes));
    }
}

static void do_hlen(struct keyspace *ks, struct words w)
{
    bool ok;
    const struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (ok)
        put_number(ks, hash ? hash->fields.count : 0);
}

static bool read_number(struct span text, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        uint64_t digit = (uint64_t)((uint8_t)text.at[i] - '0');
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return text.bytes > 0;
}

static bool word_is(struct span word, const char *name)
{
    return word.bytes == strlen(name) && strncasecmp(word.at, name, word.bytes) == 0;
}

/* The COUNT at the end of a command, its word at `place`: absent is fine. False: an error was put. */
static bool read_count(struct keyspace *ks, struct words w, size_t place, uint64_t *count)
{
    if (w.count == place)
        return true;
    if (w.count != place + 2 || !word_is(w.at[place], "COUNT")) {
        put_error(ks, no_syntax);
        return false;
    }
    if (read_number(w.at[place + 1], count))
        return true;
    put_error(ks, no_integer);
    return false;
}

/* The cursor is the serial of the last field told: a field that stays is told exactly once. */
static void do_hscan(struct keyspace *ks, struct words w)
{
    bool ok;
    uint64_t cursor, count = 10;
    const struct object *hash = look(ks, w.at[1], OBJECT_HASH, &ok);
    if (!ok || !read_count(ks, w, 3, &count))
        return;
    if (!read_number(w.at[2], &cursor)) {
        put_error(ks, "ERR invalid cursor");
        return;
    }
    const struct table_slot *slot = hash ? hash->fields.first : NULL;
    while (slot && slot->serial <= cursor)
        slot = slot->after;
    const struct table_slot *from = slot;
    size_t told = 0;
    for (; slot && told < (count ? count : 1); slot = slot->after) {
        cursor = slot->serial;
        told++;
    }
    snprintf(ks->text[0], sizeof ks->text[0], "%" PRIu64, slot ? cursor : 0);
    put_array(ks, 2);
    put_text(ks, span_of(ks->text[0]));
    put_array(ks, told * 2);
    for (; from != slot; from = from->after) {
        put_text(ks, from->name);
        put_text(ks, span_bytes(from->value, from->bytes));
    }
}

/* --- streams --- */

/* "5-1", or "5" with the minor number given. */
static bool read_id(struct span text, uint64_t minor, struct stream_id *id)
{
    const char *dash = text.bytes ? memchr(text.at, '-', text.bytes) : NULL;
    id->minor = minor;
    if (!dash)
        return read_number(text, &id->major);
    size_t head = (size_t)(dash - text.at);
    return read_number(span_bytes(text.at, head), &id->major) &&
           read_number(span_bytes(dash + 1, text.bytes - head - 1), &id->minor);
}

static void do_xadd(struct keyspace *ks, struct words w)
{
    struct stream_id id;
    if (w.count % 2 != 1) {
        put_error(ks, wrong_arity);
        return;
    }
    if (!read_id(w.at[2], 0, &id)) {
        put_error(ks, wrong_id);
        return;
    }
    bool ok;
    const struct object *there = look(ks, w.at[1], OBJECT_STREAM, &ok);
    if (!ok)
        return;
    if (stream_id_compare(id, there ? there->stream.last : (struct stream_id){0, 0}) <= 0) {
        put_error(ks, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
        return;
    }
    struct object *object = make(ks, w.at[1], OBJECT_STREAM);
    if (!object)
        return;
    if (!stream_add(&object->stream, id, w.at + 3, w.count - 3)) {
        if (!there)
            drop_key(ks, table_find(&ks->keys, w.at[1]));
        put_error(ks, no_memory);
        return;
    }
    const struct stream_entry *entry = stream_at(&object->stream, object->stream.count - 1);
    ks->bytes += entry->bytes;
    ks->wrote = true;
    put_text(ks, span_of(entry->id_text));
}

static void do_xlen(struct keyspace *ks, struct words w)
{
    bool ok;
    const struct object *object = look(ks, w.at[1], OBJECT_STREAM, &ok);
    if (ok)
        put_number(ks, object ? object->stream.count : 0);
}

static size_t remove_entries(struct keyspace *ks, struct stream *stream, size_t place, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ks->bytes -= stream_at(stream, place + i)->bytes;
    stream_remove(stream, place, count);
    ks->wrote = true;
    return count;
}

static void do_xdel(struct keyspace *ks, struct words w)
{
    bool ok;
    size_t gone = 0;
    struct object *object = look(ks, w.at[1], OBJECT_STREAM, &ok);
    for (size_t i = 2; ok && i < w.count; i++) {
        struct stream_id id;
        if (!read_id(w.at[i], 0, &id)) {
            put_error(ks, wrong_id);
            return;
        }
    }
    for (size_t i = 2; object && i < w.count; i++) {
        struct stream_id id;
        read_id(w.at[i], 0, &id);
        size_t place = stream_find(&object->stream, id);
        if (place < object->stream.count && stream_id_compare(stream_at(&object->stream, place)->id, id) == 0)
            gone += remove_entries(ks, &object->stream, place, 1);
    }
    if (ok)
        put_number(ks, gone);
}

static void do_xtrim(struct keyspace *ks, struct words w)
{
    struct stream_id id = {0, 0};
    uint64_t most = UINT64_MAX;
    bool exact = w.count == 5 && word_is(w.at[3], "="), by_count = word_is(w.at[2], "MAXLEN");
    if ((!by_count && !word_is(w.at[2], "MINID")) || (w.count != 4 && !exact)) {
        put_error(ks, no_syntax);
        return;
    }
    struct span last = w.at[w.count - 1];
    if (by_count ? !read_number(last, &most) : !read_id(last, 0, &id)) {
        put_error(ks, by_count ? no_integer : wrong_id);
        return;
    }
    bool ok;
    struct object *object = look(ks, w.at[1], OBJECT_STREAM, &ok);
    if (!ok)
        return;
    size_t there = object ? object->stream.count : 0;
    size_t gone = by_count ? (there > most ? there - (size_t)most : 0) : object ? stream_find(&object->stream, id) : 0;
    put_number(ks, object ? remove_entries(ks, &object->stream, 0, gone) : 0);
}

/* One end of a range as an inclusive id: "-", "+", "5-1", "5", "(5-1". An open end at the edge of all ids is an error.
 */
static bool read_end(struct span text, bool low, struct stream_id *id)
{
    bool open = text.bytes && text.at[0] == '(';
    if (open)
        text = span_bytes(text.at + 1, text.bytes - 1);
    *id = span_is(text, "-") ? (struct stream_id){0, 0} : (struct stream_id){UINT64_MAX, UINT64_MAX};
    if (!open && (span_is(text, "-") || span_is(text, "+")))
        return true;
    if (!read_id(text, low ? 0 : UINT64_MAX, id))
        return false;
    if (open && low) {
        id->minor++;
        id->major += id->minor == 0;
        return id->minor != 0 || id->major != 0;
    }
    if (open) {
        id->major -= id->minor == 0;
        return id->minor-- != 0 || id->major != UINT64_MAX;
    }
    return true;
}

static void put_entry(struct keyspace *ks, const struct stream_entry *entry)
{
    put_array(ks, 2);
    put_text(ks, span_of(entry->id_text));
    put_array(ks, entry->count);
    for (size_t i = 0; i < entry->count; i++)
        put_text(ks, entry->fields[i]);
}

static void range(struct keyspace *ks, struct words w, bool backwards)
{
    bool ok;
    struct stream_id low, high;
    uint64_t count = UINT64_MAX;
    const struct object *object = look(ks, w.at[1], OBJECT_STREAM, &ok);
    if (!ok || !read_count(ks, w, 4, &count))
        return;
    if (!read_end(w.at[backwards ? 3 : 2], true, &low) || !read_end(w.at[backwards ? 2 : 3], false, &high)) {
        put_error(ks, wrong_id);
        return;
    }
    size_t from = object ? stream_find(&object->stream, low) : 0, to = from;
    while (object && to < object->stream.count && (backwards || to - from < count) &&
           stream_id_compare(stream_at(&object->stream, to)->id, high) <= 0)
        to++;
    if (to - from > count)
        from = to - (size_t)count;
    put_array(ks, to - from);
    for (size_t i = 0; i < to - from; i++)
        put_entry(ks, stream_at(&object->stream, backwards ? to - 1 - i : from + i));
}

static void do_xrange(struct keyspace *ks, struct words w)
{
    range(ks, w, false);
}

static void do_xrevrange(struct keyspace *ks, struct words w)
{
    range(ks, w, true);
}

/* --- keys --- */

static void do_time(struct keyspace *ks, struct words w)
{
    (void)w;
    uint64_t now = ks->clock.now_us(ks->clock.self);
    snprintf(ks->text[0], sizeof ks->text[0], "%" PRIu64, now / 1000000);
    snprintf(ks->text[1], sizeof ks->text[1], "%" PRIu64, now % 1000000);
    put_array(ks, 2);
    put_text(ks, span_of(ks->text[0]));
    put_text(ks, span_of(ks->text[1]));
}

static void do_del(struct keyspace *ks, struct words w)
{
    size_t gone = 0;
    for (size_t i = 1; i < w.count; i++) {
        struct table_slot *slot = table_find(&ks->keys, w.at[i]);
        if (!slot)
            continue;
        drop_key(ks, slot);
        gone++;
    }
    ks->wrote = true;
    put_number(ks, gone);
}

static void do_exists(struct keyspace *ks, struct words w)
{
    size_t there = 0;
    for (size_t i = 1; i < w.count; i++)
        there += table_find(&ks->keys, w.at[i]) != NULL;
    put_number(ks, there);
}

static void do_type(struct keyspace *ks, struct words w)
{
    const struct table_slot *slot = table_find(&ks->keys, w.at[1]);
    const struct object *object = slot ? slot->value : NULL;
    const char *type = !object ? "none" : object->type == OBJECT_HASH ? "hash" : "stream";
    put(ks, (struct keyspace_item){.kind = KEYSPACE_STATUS, .text = span_of(type)});
}

struct command {
    const char *name;
    size_t least, most; /* words, the name included; most 0: any number */
    void (*run)(struct keyspace *ks, struct words w);
};

static const struct command commands[] = {
    {"HMGET", 3, 0, do_hmget}, {"HSET", 4, 0, do_hset},       {"HGET", 3, 3, do_hget},
    {"HDEL", 3, 0, do_hdel},   {"XADD", 5, 0, do_xadd},       {"XRANGE", 4, 6, do_xrange},
    {"TIME", 1, 1, do_time},   {"XTRIM", 4, 5, do_xtrim},     {"HKEYS", 2, 2, do_hkeys},
    {"HSCAN", 3, 5, do_hscan}, {"HGETALL", 2, 2, do_hgetall}, {"HLEN", 2, 2, do_hlen},
    {"XLEN", 2, 2, do_xlen},   {"XDEL", 3, 0, do_xdel},       {"XREVRANGE", 4, 6, do_xrevrange},
    {"DEL", 2, 0, do_del},     {"EXISTS", 2, 0, do_exists},   {"TYPE", 2, 2, do_type},
};

static const struct command *find_command(struct span name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (word_is(name, commands[i].name))
            return &commands[i];
    return NULL;
}

void keyspace_command(struct keyspace *ks, const struct span *words, size_t count, struct keyspace_reply *reply)
{
    static const struct keyspace_item out_of_memory = {.kind = KEYSPACE_ERROR,
                                                       .text = {no_memory, sizeof no_memory - 1}};
    const struct command *command = count ? find_command(words[0]) : NULL;
    ks->item_count = 0;
    ks->no_room = ks->wrote = false;
    if (!command)
        put_error(ks, "ERR unknown command");
    else if (count < command->least || (command->most && count > command->most))
        put_error(ks, wrong_arity);
    else
        command->run(ks, (struct words){words, count});
    *reply = (struct keyspace_reply){ks->items, ks->item_count, ks->wrote};
    if (ks->no_room) {
        reply->items = &out_of_memory;
        reply->count = 1;
    }
}

/* --- the whole --- */

struct keyspace *keyspace_new(const struct mk_mem *mem, const struct keyspace_clock *clock)
{
    struct keyspace *ks = mem_alloc(mem, sizeof *ks);
    if (!ks)
        return NULL;
    ks->mem = mem;
    ks->clock = *clock;
    /* Room from the start: a write must not fail for its short reply after it was done. */
    ks->item_room = 64;
    ks->items = mem_alloc(mem, ks->item_room * sizeof *ks->items);
    if (ks->items && table_init(&ks->keys, mem))
        return ks;
    mem_free(mem, ks->items);
    mem_free(mem, ks);
    return NULL;
}

static void keys_fini(const struct mk_mem *mem, struct table *keys)
{
    for (struct table_slot *slot = keys->first; slot; slot = slot->after)
        object_free(mem, slot->value);
    table_fini(keys);
}

void keyspace_free(struct keyspace *ks)
{
    if (!ks)
        return;
    keys_fini(ks->mem, &ks->keys);
    mem_free(ks->mem, ks->items);
    mem_free(ks->mem, ks);
}

static bool copy_fields(const struct mk_mem *mem, const struct table *from, struct table *to)
{
    for (const struct table_slot *slot = from->first; slot; slot = slot->after) {
        struct table_slot *copy = table_slot_new(to, slot->name);
        if (!copy)
            return false;
        copy->value = copy_bytes(mem, span_bytes(slot->value, slot->bytes));
        copy->bytes = slot->bytes;
        table_link(to, copy);
        if (!copy->value)
            return false;
    }
    return true;
}

static struct object *object_copy(const struct mk_mem *mem, const struct object *from)
{
    struct object *to = object_new(mem, from->type);
    bool ok = to != NULL;
    if (ok && from->type == OBJECT_HASH)
        ok = copy_fields(mem, &from->fields, &to->fields);
    for (size_t i = 0; ok && from->type == OBJECT_STREAM && i < from->stream.count; i++) {
        const struct stream_entry *entry = stream_at(&from->stream, i);
        ok = stream_add(&to->stream, entry->id, entry->fields, entry->count);
    }
    if (ok) {
        to->stream.last = from->stream.last;
        return to;
    }
    object_free(mem, to);
    return NULL;
}

struct keyspace *keyspace_copy(const struct keyspace *from)
{
    struct keyspace *to = keyspace_new(from->mem, &from->clock);
    if (!to)
        return NULL;
    for (const struct table_slot *slot = from->keys.first; slot; slot = slot->after) {
        struct object *object = object_copy(from->mem, slot->value);
        struct table_slot *copy = object ? table_slot_new(&to->keys, slot->name) : NULL;
        if (!copy) {
            object_free(from->mem, object);
            keyspace_free(to);
            return NULL;
        }
        copy->value = object;
        table_link(&to->keys, copy);
    }
    to->bytes = from->bytes;
    return to;
}

bool keyspace_restore(struct keyspace *ks, const struct keyspace *from)
{
    struct keyspace *copy = keyspace_copy(from);
    if (!copy)
        return false;
    struct table old = ks->keys;
    ks->keys = copy->keys;
    ks->bytes = copy->bytes;
    copy->keys = old;
    keyspace_free(copy);
    return true;
}

size_t keyspace_keys(const struct keyspace *ks)
{
    return ks->keys.count;
}

size_t keyspace_bytes(const struct keyspace *ks)
{
    return ks->bytes;
}
