/* What a child writes to its stderr, line by line, bounded: long lines are cut, of too many in one second the rest is
 * left out and counted, and of too many bytes in one second no more are to be read until it is over. Pure. */
#ifndef MEERKAT_NODE_LINES_H
#define MEERKAT_NODE_LINES_H

#include "node/core/span.h"

#define LINE_BYTES_MAX  1000
#define LINES_A_SECOND  100
#define LINES_BYTES_MAX (1u << 20) /* a second */
#define LINES_WINDOW_MS 1000

struct lines {
    char text[LINE_BYTES_MAX];
    size_t bytes;
    bool cut;                       /* more of this line came than fits */
    uint64_t from_ms, count, taken; /* this second: when it began, lines said, bytes fed */
    uint64_t left_out;              /* lines not said, and not told of yet */
};

struct lines_out {
    /* One line without its end; borrowed for the call. */
    void (*line)(void *user, struct span line, bool cut);
    void *user;
};

void lines_feed(struct lines *lines, uint64_t now_ms, struct span bytes, struct lines_out out);

/* Nothing more comes: what has no end yet is a line too. */
void lines_end(struct lines *lines, uint64_t now_ms, struct lines_out out);

/* This second's bytes are used up: read again at lines_due_ms. */
bool lines_full(const struct lines *lines);
uint64_t lines_due_ms(const struct lines *lines);

/* How many lines were left out since the last call. */
uint64_t lines_left_out(struct lines *lines);

#endif
