#include "node/core/doc.h"

#include <assert.h>

struct mk_doc *doc_new(const struct mk_mem *mem)
{
    struct mk_doc *doc = mem_alloc(mem, sizeof *doc);
    if (doc)
        doc->mem = mem;
    return doc;
}

void doc_free(struct mk_doc *doc)
{
    if (!doc)
        return;
    for (size_t i = 0; i < doc->count; i++)
        mem_free(doc->mem, (void *)(uintptr_t)doc->items[i].text.at);
    mem_free(doc->mem, doc->items);
    mem_free(doc->mem, doc);
}

static bool grow(struct mk_doc *doc)
{
    size_t room = doc->room ? 2 * doc->room : 16;
    struct mk_doc_item *items = mem_alloc(doc->mem, room * sizeof *items);
    if (!items) {
        doc->failed = true;
        return false;
    }
    if (doc->count)
        memcpy(items, doc->items, doc->count * sizeof *items);
    mem_free(doc->mem, doc->items);
    doc->items = items;
    doc->room = room;
    return true;
}

/* Appends an item; counts it in the array, or as half a pair in the map, that is open. */
static struct mk_doc_item *add(struct mk_doc *doc, enum mk_doc_type type)
{
    if (doc->failed || (doc->count == doc->room && !grow(doc)))
        return NULL;
    if (doc->depth)
        doc->items[doc->open[doc->depth - 1]].number++;
    struct mk_doc_item *item = &doc->items[doc->count++];
    *item = (struct mk_doc_item){.type = type};
    return item;
}

static void add_bytes(struct mk_doc *doc, enum mk_doc_type type, struct span from)
{
    struct mk_doc_item *item = add(doc, type);
    if (!item)
        return;
    char *copy = mem_alloc(doc->mem, from.bytes + 1);
    if (!copy) {
        doc->failed = true;
        return;
    }
    if (from.bytes)
        memcpy(copy, from.at, from.bytes);
    item->text = (struct span){copy, from.bytes};
}

static void open_item(struct mk_doc *doc, enum mk_doc_type type)
{
    assert(doc->depth < sizeof doc->open / sizeof *doc->open);
    if (add(doc, type))
        doc->open[doc->depth] = doc->count - 1;
    doc->depth++;
}

void doc_map(struct mk_doc *doc)
{
    open_item(doc, DOC_MAP);
}

void doc_array(struct mk_doc *doc)
{
    open_item(doc, DOC_ARRAY);
}

void doc_end(struct mk_doc *doc)
{
    assert(doc->depth > 0);
    doc->depth--;
    if (doc->failed)
        return;
    struct mk_doc_item *item = &doc->items[doc->open[doc->depth]];
    if (item->type == DOC_MAP)
        item->number /= 2; /* keys and values were counted alike */
}

void doc_text(struct mk_doc *doc, struct span text)
{
    if (span_given(text))
        add_bytes(doc, DOC_TEXT, text);
    else
        doc_nil(doc);
}

void doc_u64(struct mk_doc *doc, uint64_t number)
{
    struct mk_doc_item *item = add(doc, DOC_U64);
    if (item)
        item->number = number;
}

void doc_bool(struct mk_doc *doc, bool yes)
{
    struct mk_doc_item *item = add(doc, DOC_BOOL);
    if (item)
        item->number = yes;
}

void doc_nil(struct mk_doc *doc)
{
    add(doc, DOC_NIL);
}

void doc_raw(struct mk_doc *doc, struct span msgpack)
{
    add_bytes(doc, DOC_RAW, msgpack);
}

void doc_key(struct mk_doc *doc, const char *key)
{
    doc_text(doc, span_of(key));
}

void doc_put_text(struct mk_doc *doc, const char *key, struct span text)
{
    doc_key(doc, key);
    doc_text(doc, text);
}

void doc_put_u64(struct mk_doc *doc, const char *key, uint64_t number)
{
    doc_key(doc, key);
    doc_u64(doc, number);
}

void doc_put_bool(struct mk_doc *doc, const char *key, bool yes)
{
    doc_key(doc, key);
    doc_bool(doc, yes);
}

void doc_put_raw(struct mk_doc *doc, const char *key, struct span msgpack)
{
    doc_key(doc, key);
    doc_raw(doc, msgpack);
}
