/* The calls of the store, in the core's words. The codec turns a call into flat arguments and a reply back into these
 * structs (codec/script.h says the form); redis/lua holds the scripts; docs/keys.md documents keys and records. All
 * times are the store's, in ms. Status words come from the store, which compares owner, incarnation and fence inside
 * every call. */
#ifndef MEERKAT_CORE_SCRIPT_H
#define MEERKAT_CORE_SCRIPT_H

#include "node/core/limits.h"
#include "node/core/record.h"

enum script {
    SCRIPT_FOUND,   /* cluster facts: created, or compared */
    SCRIPT_CLAIM,   /* leases of partitions that are free or expired */
    SCRIPT_RENEW,   /* leases, all of them */
    SCRIPT_RELEASE, /* leases */
    SCRIPT_COMMIT,  /* sections of sessions, many partitions */
    SCRIPT_LOAD,    /* sessions: head, rows, state */
    SCRIPT_FACTS,   /* what is remembered of names */
    SCRIPT_ACTIVE,  /* the sessions of a partition that have active inputs */
    SCRIPT_EVENTS,  /* a stretch of a partition's outbox, for one session or all */
    SCRIPT_LIST,    /* the sessions of a partition, page by page */
    SCRIPT_MEMBERS, /* this node's heartbeat in the store, and everybody's */
    SCRIPT_WATCH,   /* leases that others hold, or nobody: read only */
    SCRIPT_COUNT
};

const char *script_name(enum script script); /* "claim" */

/* Incarnations and histories: 16 random bytes as 32 hex digits. */
struct mk_hex {
    char text[33];
};

struct lease_owner {
    struct mk_id node;
    struct mk_hex incarnation;
};

enum lease_status {
    LEASE_HELD,    /* ours: done */
    LEASE_OTHER,   /* another owner holds it, unexpired; or took it */
    LEASE_FREE,    /* nobody holds it (renew, load... of a lease that was released) */
    LEASE_AGAIN,   /* commit: this very commit had been applied already */
    LEASE_SEQUENCE /* commit: the stored sequence is not the one before */
};

/* A lease as the store holds it. */
struct lease {
    uint32_t partition;
    enum lease_status status;
    struct mk_hex history;
    struct lease_owner owner;
    uint64_t fence, sequence, published, horizon_ms, bytes, renewals, expires_ms;
    uint64_t began;         /* the sequence at which the fence began */
    struct mk_id successor; /* of a lease that was released: who shall have it; absent: nobody in particular */
    uint64_t sessions;      /* release: heads that the partition has */
};

/* A node as the store knows it: what it last said, and until when that counts. */
enum member_phase {
    MEMBER_WORKING,
    MEMBER_DEAF,     /* it does not hear the bus: it takes nothing while another can */
    MEMBER_DRAINING, /* it gives everything away */
    MEMBER_PHASE_COUNT
};

struct member {
    struct lease_owner who;
    enum member_phase phase;
    uint64_t expires_ms;
};

const char *member_phase_name(enum member_phase phase); /* "working" */

#endif
