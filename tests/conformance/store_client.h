/* Speaks to a store port in words, for tests: calls and replies are texts of words between spaces. In both, '' is the
 * empty word and F0, F1... stand for the fence of the partition of that number (0 = the first of this client); in
 * replies nil is nil and the time, always the first item, is left out. */
#ifndef MEERKAT_TESTS_STORE_CLIENT_H
#define MEERKAT_TESTS_STORE_CLIENT_H

#include "codec/script.h"

#define CLIENT_PARTITIONS 4 /* of one client; clients share none */
#define CLIENT_TEXT_BYTES (4u << 20)
#define CLIENT_ITEMS      20000

/* A store under test. */
struct store_bench {
    struct store_port port;
    void (*step)(void *self); /* lets replies come; returns soon, also when none came */
    /* Executes the call's script on the store itself, where it ends with an error behind its nth write. False: it wrote
     * less than that, and was done. */
    bool (*cut)(void *self, const struct store_call *call, size_t writes);
    void *self;
    struct store_client *client; /* who gets the replies */
};

struct store_client {
    struct store_bench *bench;
    uint32_t base; /* partition number 0 of this client */
    char fence[CLIENT_PARTITIONS][24];
    char members_key[32];
    char scratch[24]; /* fence of the partition behind store_write */
    uint64_t scratch_seq;
    /* the last reply */
    uint64_t tag;
    bool replied;
    enum store_verdict verdict;
    uint64_t now_ms;
    struct span items[CLIENT_ITEMS]; /* into `bytes` */
    size_t count;
    char bytes[CLIENT_TEXT_BYTES], text[CLIENT_TEXT_BYTES];
};

/* Partitions 4n.. of the store; heap, freed with free(). */
struct store_client *store_client_new(struct store_bench *bench, uint32_t n);

/* Give this to whatever delivers replies, `user` being the bench. */
void store_client_on_reply(void *user, uint64_t tag, const struct store_reply *reply);

/* Sends and awaits. `partitions`: "0 1 1", one for each partition, session or name that the script wants keys for. The
 * reply as text: its items, or "refused ERROR", or "unknown". */
const char *store_ask(struct store_client *c, enum script script, const char *partitions, const char *args);

/* `events` of the dead letters of partition `p`. */
const char *store_ask_letters(struct store_client *c, uint32_t p, const char *args);

/* The same with arguments as they are. */
const char *store_ask_spans(struct store_client *c, enum script script, const char *partitions, const struct span *args,
                            size_t count);

/* The same with keys as they are. */
const char *store_ask_keys(struct store_client *c, enum script script, const struct span *keys, size_t key_count,
                           const struct span *args, size_t count);

/* The same call, cut off behind its nth write. False: it wrote less, and was done. */
bool store_ask_cut(struct store_client *c, enum script script, const char *partitions, const char *args, size_t writes);

/* The hash of members that this client has to itself. */
struct span store_members_key(struct store_client *c);
struct span store_key(struct store_client *c, uint32_t p, char letter, char out[KEY_BYTES]);

/* Sets a field of any hash, or deletes it (NULL), past its script; and reads one: its value, "''" or "nil". */
void store_write(struct store_client *c, struct span key, const char *field, const char *value);
const char *store_read(struct store_client *c, struct span key, const char *field);

/* Claims partition `p` for the owner "node incarnation" for `lease_ms` and learns its fence; fails the test if not
 * held. */
void store_claim(struct store_client *c, uint32_t p, const char *owner, unsigned lease_ms);

#endif
