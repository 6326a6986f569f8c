/* A small tree of values that the core builds and the codec packs: data of effects and results. Written front to back.
 */
#ifndef MEERKAT_CORE_DOC_H
#define MEERKAT_CORE_DOC_H

#include "node/core/mem.h"
#include "node/core/span.h"

enum mk_doc_type { DOC_MAP, DOC_ARRAY, DOC_TEXT, DOC_U64, DOC_BOOL, DOC_NIL, DOC_RAW };

struct mk_doc_item {
    enum mk_doc_type type;
    uint64_t number;  /* U64, BOOL; MAP and ARRAY: pairs or items that follow */
    struct span text; /* TEXT; RAW: a whole msgpack value. Owned by the doc */
};

struct mk_doc {
    const struct mk_mem *mem;
    struct mk_doc_item *items;
    size_t count, room;
    size_t open[8]; /* the maps and arrays that are being written */
    size_t depth;
    bool failed; /* no memory: the doc must not be used */
};

struct mk_doc *doc_new(const struct mk_mem *mem); /* NULL when there is no memory */
void doc_free(struct mk_doc *doc);                /* NULL is allowed */

void doc_map(struct mk_doc *doc);   /* opens; close with doc_end */
void doc_array(struct mk_doc *doc); /* opens; close with doc_end */
void doc_end(struct mk_doc *doc);
void doc_text(struct mk_doc *doc, struct span text); /* copies; an absent span writes nil */
void doc_u64(struct mk_doc *doc, uint64_t number);
void doc_bool(struct mk_doc *doc, bool yes);
void doc_nil(struct mk_doc *doc);
void doc_raw(struct mk_doc *doc, struct span msgpack); /* copies */

/* A key and its value, inside a map. */
void doc_put_text(struct mk_doc *doc, const char *key, struct span text);
void doc_put_u64(struct mk_doc *doc, const char *key, uint64_t number);
void doc_put_bool(struct mk_doc *doc, const char *key, bool yes);
void doc_put_raw(struct mk_doc *doc, const char *key, struct span msgpack);
void doc_key(struct mk_doc *doc, const char *key); /* then any value */

#endif
