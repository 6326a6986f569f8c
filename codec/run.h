/* The frames between a node and the children that execute its runs (docs/executors.md): a u32 big-endian length, then
 * one msgpack map. Towards the child: a run, an input for it, or the wish to cancel it. From the child, untrusted: the
 * run's answer, or before it a word on its turn's boundary or on an input for it. */
#ifndef MEERKAT_CODEC_RUN_H
#define MEERKAT_CODEC_RUN_H

#include "codec/buf.h"
#include "node/core/port.h"

#define RUN_HEAD_BYTES    4   /* the length before each map */
#define RUN_EVENTS_MAX    256 /* of one answer: they are one commit */
#define RUN_MESSAGE_BYTES 512 /* of a failure, what does not fit is cut; its zero byte included */

/* Each appends a whole frame, its length included; out->failed tells that there was no memory. */
size_t run_pack(struct buf *out, const struct run_request *request); /* where, in the frame, `injected` is counted */
void run_cancel_pack(struct buf *out, struct span run, bool hard);
void run_inject_pack(struct buf *out, struct span run, const struct run_input *input);
/* A run's frame once more, with what was injected since: `inputs`, one behind the other as run_input_pack made them;
 * count: of all that the run has now. */
void run_again_pack(struct buf *out, struct span frame, size_t count_at, struct span inputs, size_t count);
void run_input_pack(struct buf *out, const struct run_input *input); /* no frame: the input's map alone */

enum child_word {
    WORD_ANSWER,   /* the run is over */
    WORD_BOUNDARY, /* its turn takes inputs in, or not any more */
    WORD_INJECTED  /* an input was staged, or not */
};

struct run_answer {
    enum child_word word;
    struct span about; /* BOUNDARY: the run; INJECTED: the input. Nothing but `about` and `yes` counts of these */
    bool yes;          /* live; staged */
    bool has_state;
    struct span state; /* the bytes themselves; absent with has_state: the session has none from now on */
    struct span results[RUN_INPUTS_MAX]; /* msgpack values: one per input, or one, or none */
    size_t result_count;
    struct executor_event events[RUN_EVENTS_MAX];
    size_t event_count;
    bool failed; /* nothing but what follows counts */
    enum failure_cause cause;
    struct span message; /* absent: none was given */
    bool final;          /* a repeat would fail as well */
    bool cancelled;      /* it ended because it was asked to */
};

/* Reads the map that a child wrote while it had a run of so many inputs. Everything in `out` borrows from it.
 *   errors  RESULT_TOO_LARGE: well-formed, but deeper or longer than what a frame on the bus, or a record, can hold;
 *           EXECUTOR_FAILED: no msgpack, or not the keys of an answer. The note says which key */
enum mk_err run_answer_read(struct span map, size_t input_count, struct run_answer *out, struct mk_note *note);

/* A child's text for people: cut at a character's end, what is no UTF-8 and what would control a terminal becomes `?`.
 * Returns its bytes; there is a zero byte behind them. room > 0 */
size_t run_text(char *out, size_t room, struct span text);

#endif
