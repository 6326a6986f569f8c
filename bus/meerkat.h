/* libmeerkat: publish inputs and commands to meerkat sessions, and learn what became of them. Link with -lmeerkat.
 *
 *     struct mk_client *client;
 *     char error[MK_ERROR_BYTES];
 *     if (mk_client_open(&client, &(struct mk_client_options){0}, error) != MK_CLIENT_OK) ...
 *     mk_client_send(client, &(struct mk_send){.session = "s1", .body = body, .await_completion = true, .on_answer =
 * told}); while (mk_client_unanswered(client)) mk_client_poll(client, 1000);
 *
 * What is promised: every request ends in exactly one answer of kind MK_ANSWER_END, whose `end` is done, failed for
 * good, refused, or unknown. After unknown it is safe to send the same again with the same id: the cluster does it
 * once. A request is repeated with its id, 250 ms later at first and then twice as long each time (at most 5 s), and at
 * once when its partition gets another owner, until it is answered or its time is up.
 *
 * Threads: one client belongs to one thread. Callbacks run inside mk_client_poll, on that thread; they may send, not
 * close. Values (bodies, results) are msgpack. Texts are UTF-8 and, where given as struct mk_bytes, not
 * zero-terminated. Everything that a callback is given is borrowed until it returns. */
#ifndef MEERKAT_H
#define MEERKAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MK_ERROR_BYTES       256
#define MK_CLIENT_WINDOW_MAX 4096

struct mk_bytes {
    const void *at; /* NULL: absent */
    size_t bytes;
};

struct mk_client;

enum mk_client_error {
    MK_CLIENT_OK,
    MK_CLIENT_INVALID,   /* an argument; the text says which, its value, and what is allowed */
    MK_CLIENT_TOO_LARGE, /* would not fit a frame */
    MK_CLIENT_FULL,      /* the window is full: poll first */
    MK_CLIENT_NO_MEMORY,
    MK_CLIENT_REFUSED /* the system or the transport refused */
};

struct mk_client_options {
    const char *bus;        /* hub URLs by comma; NULL: $MEERKAT_BUS, else tcp://127.0.0.1:7400 */
    const char *client_id;  /* 1..64 of [A-Za-z0-9._:-], unique on the bus; NULL: made at random */
    uint32_t partitions;    /* of the cluster; 0: $MEERKAT_PARTITIONS, else 256. Heartbeats correct it */
    size_t frame_bytes_max; /* 0: 1 MiB; must not exceed the hub's */
    size_t window;          /* requests unanswered at once; 0: MK_CLIENT_WINDOW_MAX */
};

/* Dials in the background: an absent hub is no error here, but mk_client_ready stays false. `error` gets a sentence.
 *   errors  INVALID, NO_MEMORY, REFUSED */
enum mk_client_error mk_client_open(struct mk_client **out, const struct mk_client_options *options,
                                    char error[MK_ERROR_BYTES]);

/* Gives everything up without further answers. Its sockets stay with the process until exit, so open one client and
 * keep it. */
void mk_client_close(struct mk_client *client); /* NULL is allowed */

/* The sentence for the last error of a call on this client. */
const char *mk_client_error_text(const struct mk_client *client);

const char *mk_client_id(const struct mk_client *client);

/* --- answers --- */

enum mk_answer_kind {
    MK_ANSWER_ADMITTED, /* await_completion: accepted and durable, the completion is to come. At most once */
    MK_ANSWER_ITEM,     /* gather: one node's result; others may come */
    MK_ANSWER_END       /* the last one */
};

enum mk_end {
    MK_END_DONE,    /* completed; accepted, if no completion was awaited; a command's success */
    MK_END_FAILED,  /* not done, for good: cancelled, abandoned... */
    MK_END_REFUSED, /* rejected, or a command's error. `final`: never repeat it; else it may be repeated later */
    MK_END_UNKNOWN  /* no answer in time. Safe to repeat with the same id; `advice` says what is known */
};

struct mk_answer {
    enum mk_answer_kind kind;
    enum mk_end end;          /* of MK_ANSWER_END; ITEM: done or refused */
    const char *id, *session; /* of the request; session "" for node commands */
    struct mk_bytes outcome;  /* accepted, deduplicated, rejected; completed, cancelled...; ok, error */
    struct mk_bytes reason;   /* a code: not_ready, overloaded... */
    struct mk_bytes detail;   /* a sentence */
    struct mk_bytes existing; /* deduplicated: the id it was first sent with */
    struct mk_bytes result;   /* one msgpack value: of a completion, or a command's data */
    struct mk_bytes node;     /* who completed it */
    struct mk_bytes message;  /* the whole message, a msgpack map; absent when unknown */
    bool deduplicated;        /* it had been admitted before */
    bool admitted;            /* it is known to be durable: repeating only asks */
    bool final;
    const char *advice; /* of MK_END_UNKNOWN, for people; else "" */
};

typedef void (*mk_answer_fn)(void *user, const struct mk_answer *answer);

/* --- requests --- */

struct mk_send {
    const char *session;                                               /* 1..128 of [A-Za-z0-9._:-] */
    struct mk_bytes body;                                              /* one msgpack value; absent: nil */
    const char *id;                                                    /* NULL: made at random */
    const char *kind;                                                  /* NULL: prompt */
    const char *handling;                                              /* queue, steer; NULL: as the kind has it */
    const char *executor;                                              /* of a new session; NULL: the node's default */
    const char *durability, *origin, *idem, *supersede, *corr, *after; /* NULL: absent */
    const char *peer_id, *peer_name, *request_id, *intent, *status;    /* what kinds need (docs/protocol.md) */
    const char *event_type, *step_id, *operation_id, *continuation;
    uint64_t deadline_ms; /* from admission; 0: none */
    bool no_wake;         /* admitted, but it starts nothing by itself */
    bool await_completion;
    uint64_t timeout_ms; /* for all of it; 0: 10 s */
    mk_answer_fn on_answer;
    void *user;
};

/* Queues an input; it leaves with the next mk_client_poll, in one frame with what else is queued. Copies what it needs.
 *   errors  INVALID, TOO_LARGE, FULL, NO_MEMORY */
enum mk_client_error mk_client_send(struct mk_client *client, const struct mk_send *send);

struct mk_arg {
    const char *key, *value; /* numbers and booleans as text; `intents` may come several times */
};

struct mk_order {
    const char *session; /* or: */
    const char *node;    /* a node's id, "*" for every node */
    const char *op;      /* docs/protocol.md */
    const struct mk_arg *args;
    size_t arg_count;
    struct mk_bytes input; /* ingest: a whole input message, a msgpack map; absent for every other op */
    const char *id, *run;  /* NULL: made, absent */
    bool gather;           /* collect results until the time is up (node "*"): ends as done if there was one */
    uint64_t timeout_ms;   /* 0: 10 s */
    mk_answer_fn on_answer;
    void *user;
};

/* Queues a command, as mk_client_send an input. No key but `intents` comes twice.
 *   errors  INVALID, TOO_LARGE, FULL, NO_MEMORY */
enum mk_client_error mk_client_order(struct mk_client *client, const struct mk_order *order);

/* --- dead letters --- */

/* An input that was abandoned, as the op `dead` tells it. */
struct mk_letter {
    struct mk_bytes session, id, kind, body; /* of the input; body: one msgpack value, absent: nil */
    uint64_t left_out;                       /* bytes of a body that was too much to keep: it cannot be redriven */
    struct mk_bytes outcome, reason;         /* how it ended, and why */
    struct mk_bytes error, detail;           /* a code and a sentence, or absent */
    struct mk_bytes run;                     /* its last one; absent: none */
    uint64_t at_ms;                          /* store time */
    uint64_t seq;                            /* the number of its completion */
    uint64_t attempts;
    char redriven_id[65]; /* what mk_client_redrive calls it; "": that would be longer than an id may be */
};

/* Gives the letters out of what `dead` answered, one after the other, each a msgpack map. `next`: the `cursor` of the
 * next question; absent: that was all. False: it is no such answer. */
bool mk_letters_read(struct mk_bytes result, void (*each)(void *user, struct mk_bytes letter), void *user,
                     struct mk_bytes *next);

/* False: it is no letter, or one that is larger than a frame and only named ({session, id, seq, too_large: bytes}). */
bool mk_letter_read(struct mk_bytes letter, struct mk_letter *out);

struct mk_redrive {
    struct mk_bytes letter;
    bool await_completion;
    uint64_t timeout_ms; /* 0: 10 s */
    mk_answer_fn on_answer;
    void *user;
};

/* Publishes a letter's input again, byte for byte, as the input `<id>~1` (of `x~1`: `x~2`), without idempotency key and
 * `after`; its deadline begins again. Redriving a letter twice is one input.
 *   errors  INVALID, TOO_LARGE, FULL, NO_MEMORY */
enum mk_client_error mk_client_redrive(struct mk_client *client, const struct mk_redrive *redrive);

size_t mk_client_unanswered(const struct mk_client *client);

/* --- running --- */

/* Sends what is queued or due, waits up to timeout_ms for frames (0: not at all), calls back. Returns how many answers
 * it gave. */
size_t mk_client_poll(struct mk_client *client, uint64_t timeout_ms);

/* For a loop of your own: when this is readable, or mk_client_due_ms has passed (from now; UINT64_MAX: never), poll
 * with 0. */
int mk_client_fd(const struct mk_client *client);
uint64_t mk_client_due_ms(const struct mk_client *client);

/* Whether frames of this client come back to it through a hub. Nothing is sent before. */
bool mk_client_ready(const struct mk_client *client);

/* Polls until ready or the time is up. */
bool mk_client_await_ready(struct mk_client *client, uint64_t timeout_ms);

/* --- watching --- */

struct mk_event {
    struct mk_bytes session;
    uint64_t seq;            /* 1, 2, 3... of the session */
    uint64_t fence;          /* of two contents of one number, the higher fence is right */
    bool completion;         /* else an effect */
    struct mk_bytes name;    /* of the effect, or the completion's outcome */
    struct mk_bytes input;   /* of a completion */
    struct mk_bytes message; /* the whole message, a msgpack map */
};

/* Numbered events of one session, or (NULL) of all, as they come: they may repeat, and a number may be missing; order
 * `events` {from, limit} gives those that are retained. One subscription a client. */
enum mk_client_error mk_client_watch(struct mk_client *client, const char *session,
                                     void (*on_event)(void *user, const struct mk_event *event), void *user);

/* A heartbeat. Nodes and hubs send one at least every second. */
struct mk_beat {
    struct mk_bytes id; /* node or hub */
    bool hub;
    struct mk_bytes incarnation, phase; /* of a node: working, deaf, draining */
    uint32_t partitions, owned;         /* of the cluster; of this node */
    uint32_t handing, expecting;        /* how many it gives to others; how many it keeps inputs for already */
    uint32_t suspended; /* how many it holds and does not work on: it does not trust the store's state */
    uint64_t fence_max; /* of the owned ones */
    uint64_t sessions, load;
    struct mk_bytes message; /* the whole message, a msgpack map */
};

void mk_client_on_beat(struct mk_client *client, void (*on_beat)(void *user, const struct mk_beat *beat), void *user);

enum mk_claim_kind { MK_CLAIM_OWNED, MK_CLAIM_HANDING, MK_CLAIM_EXPECTING, MK_CLAIM_SUSPENDED };

/* What a heartbeat says of one partition. */
struct mk_claim {
    enum mk_claim_kind kind;
    uint32_t partition;
    uint64_t fence, sequence;  /* owned; handing: the fence */
    struct mk_bytes history;   /* owned: this life of the store */
    struct mk_bytes successor; /* handing: to whom */
    bool released;             /* handing: it may be taken now */
};

/* Gives them one after the other, out of a heartbeat's message. False: it is none. */
bool mk_beat_claims(struct mk_bytes message, void (*each)(void *user, const struct mk_claim *claim), void *user);

/* One event out of the items that `events` answered (they are messages as they were published). False: it is none. */
bool mk_event_read(struct mk_bytes message, struct mk_event *out);

/* What the client knows of the cluster, from heartbeats. */
struct mk_view {
    bool hub_heard, node_heard;
    uint32_t partitions;
    uint64_t frames_sent, frames_heard, frames_dropped, frames_bad, repeats;
};

void mk_client_view(const struct mk_client *client, struct mk_view *out);

/* Who has a partition. A dead owner is still named: `silent_ms` says how long it has not said so. */
struct mk_owner {
    const char *node; /* "": nobody was heard of */
    uint64_t fence, silent_ms;
    const char *successor; /* "": it is not being handed over */
    bool suspended;
};

/* As the heartbeats heard since the client was opened have it. The texts live as long as the client, and change. */
void mk_client_owner(const struct mk_client *client, uint32_t partition, struct mk_owner *out);

#ifdef __cplusplus
}
#endif

#endif
