/* Every bound of the program, with its unit and its reason. */
#ifndef MEERKAT_CORE_LIMITS_H
#define MEERKAT_CORE_LIMITS_H

/* The wire (docs/protocol.md). */
#define SESSION_ID_BYTES_MAX 128               /* design: [A-Za-z0-9._:-] */
#define MESSAGE_ID_BYTES_MAX 64                /* ids of inputs, commands, runs, clients, nodes, keys */
#define FRAME_BYTES_DEFAULT  (1u << 20)        /* a frame is at most 1 MiB unless configured */
#define FRAME_BYTES_MAX      (64u << 20)       /* what --frame-bytes may raise it to */
#define TOPIC_BYTES_MAX      160               /* class, partition, session id, separators */
#define NESTING_MAX          32                /* depth of a frame's map: msgpack-c's own limit */
#define BODY_NESTING_MAX     (NESTING_MAX - 1) /* of a body, which lies in such a map */
#define NESTING_WRAPPED_MAX                                                                                            \
    40                          /* of what wraps a body: its stored row, its completion in a page of events in a batch \
                                 */
#define MAP_KEYS_MAX       4096 /* keys of one map that is searched for duplicates */
#define BATCH_ITEMS_MAX    4096 /* messages in one frame: a publisher's window */
#define WINDOW_INPUTS_MAX  4096 /* unanswered inputs of one publisher */
#define SILENT_INTENTS_MAX 64   /* intents a session may silence */
#define REASON_BYTES_MAX   512  /* free text in a command or an error */
#define FAILURE_BYTES_MAX  120  /* of an error's text in a session's head */

/* Sessions. */
#define ACTIVE_INPUTS_MAX                                                                                              \
    1024 /* of one session; more is `overloaded`. All may end in one commit: one outbox entry holds them */
#define STAGE_ATTEMPTS_MAX  3            /* source: max_stage_attempts */
#define DEATHS_BEFORE_ALONE 2            /* node deaths after which an input runs alone */
#define RUN_INPUTS_MAX      256          /* of one batch: bounds the run record */
#define INJECTED_MAX        64           /* inputs that a session's runs carry, and that are offered to one */
#define WAITERS_MAX         8            /* reply addresses joined to one input */
#define STATE_BYTES_MAX     (8u << 20)   /* an executor's opaque state */
#define BACKOFF_FIRST_MS    100          /* before the second attempt; the first is at once */
#define BACKOFF_MAX_MS      30000        /* it doubles up to this */
#define SERVICE_MS_DEFAULT  60000        /* a turn that a service owns is given up then, unless it said another time */
#define SERVICE_MS_MAX      3600000      /* what it may say: inputs wait for it */
#define HELD_EVENTS_MAX     65536        /* waiting for the store in one node, then `overloaded` */
#define HELD_BYTES_MAX      (256u << 20) /* the same, in bytes of frames */

/* Partitions and the store. */
#define PARTITIONS_DEFAULT    256
#define PARTITIONS_MAX        4096 /* four hex digits, and a heartbeat must fit a frame */
#define GROUPS_MAX            64
#define LEASE_MS_DEFAULT      3000
#define LEASE_MS_MIN          500 /* below it a busy machine loses leases by itself */
#define LEASE_MS_MAX          600000
#define DIGESTS_KEPT          8            /* of a partition's last commits, for lost replies */
#define FINISH_MS_DEFAULT     5000         /* for runs of a partition that is given away */
#define HANDOVERS_MAX         16           /* partitions on their way at once; those that wait for a run not counted */
#define DRAIN_ASKERS_MAX      8            /* who waits for the receipt of one leaving */
#define COMMITS_IN_FLIGHT_MAX 2            /* of one group; measured: more gains nothing */
#define COMMIT_SECTIONS_MAX   128          /* sessions in one call; measured: more gains nothing */
#define CALL_ARGS_MAX         4000         /* Lua's unpack and C stack */
#define FENCE_MAX             (1ull << 53) /* Lua counts in doubles */

/* Retention (design section 5, rule 8). */
#define RETAIN_MS_DEFAULT    (24ull * 3600 * 1000)
#define RETAIN_MS_MIN        (15ull * 60 * 1000) /* nothing younger is trimmed */
#define RETAIN_BYTES_DEFAULT (64ull << 20)       /* of one partition: its published messages */
#define EVENTS_PAGE_MAX      1000                /* of one answer to `events` or `dead` */
#define LETTERS_BYTES_MAX    (64u << 20) /* bodies in the dead letters of one commit: a call must fit the store */
#define DEAD_LETTERS_MAX     2000        /* of one partition, then the oldest go; more than one commit can hold */

#endif
