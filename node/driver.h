/* The driver: turns bytes and replies into events of the core, and performs the core's effects through the ports. It
 * knows the core, the codec and the ports; no library. The event loop (node/loop.c) or the simulator (tests/sim) calls
 * it, always from one thread, and calls driver_turn_end when everything that was at hand has been given to it: that is
 * where commits leave. */
#ifndef MEERKAT_NODE_DRIVER_H
#define MEERKAT_NODE_DRIVER_H

#include "codec/buf.h"
#include "node/core/port.h"

struct driver;

struct driver_options {
    struct mk_id node; /* --node-id */
    uint32_t partitions, groups;
    uint64_t lease_ms;
    uint64_t finish_ms; /* for runs of a partition that is given away */
    uint64_t idle_evict_ms;
    uint64_t retain_ms, retain_bytes;
    size_t frame_bytes_max;
    bool alone; /* memory: a cluster of one; hearing another node, it is not ready */
    bool auto_register;
    uint64_t heartbeat_ms;
};

/* NULL, and the reason in the note, when there is no memory or an option is out of range. Ports and mem outlive the
 * driver. */
struct driver *driver_new(const struct driver_options *options, const struct ports *ports, const struct mk_mem *mem,
                          struct mk_note *note);
void driver_free(struct driver *driver);

/* --- what the loop tells it --- */

void driver_start(struct driver *driver);                    /* begins to found the cluster and claim partitions */
void driver_frame(struct driver *driver, struct span frame); /* one frame from the bus, untrusted */
void driver_bus_up(struct driver *driver, bool up);          /* own heartbeat heard through the hub, or silence */
void driver_store_up(struct driver *driver, bool up);
void driver_store_reply(struct driver *driver, uint64_t tag, const struct store_reply *reply);
void driver_run_done(struct driver *driver, struct span session, const struct run_done *done);
/* The run takes inputs in at its turn's boundary from now on, or not any more; at its start it does not. */
void driver_boundary(struct driver *driver, struct span session, const struct run_at *at, bool live);
void driver_injected(struct driver *driver, struct span session, const struct run_injected *injected);
void driver_tick(struct driver *driver); /* timers; call when driver_due_ms has passed */
void driver_turn_end(struct driver *driver);
void driver_leave(struct driver *driver); /* SIGTERM: finish, give everything away, then `left` */

/* When driver_tick is wanted, by the clock port; UINT64_MAX: never. */
uint64_t driver_due_ms(const struct driver *driver);

/* --- what it says of itself --- */

struct driver_status {
    bool ready;              /* founded, partitions owned, store and bus up, nobody else heard in a cluster of one */
    const char *unready_why; /* when not ready */
    bool leaving;            /* told to, by driver_leave or by the command `drain` */
    bool left;               /* everything was given away */
    bool mismatch;           /* the store belongs to a cluster configured otherwise: the loop exits with 5 */
    struct mk_note mismatch_note;
    uint32_t partitions_owned;
    uint64_t sessions, sessions_quarantined, runs_active, inputs_held;
    uint64_t oldest_unacknowledged_ms; /* age of the oldest event that waits for the store */
    /* since the start */
    uint64_t frames_in, frames_bad, frames_lost, items_in, items_foreign;
    uint64_t accepted, deduplicated, rejected, overloaded, completed, runs_started, runs_failed;
    uint64_t commits, sections, sections_again, commits_resent, commit_bytes, leases_lost, faults;
    uint64_t published, published_bytes, answers;
};

void driver_status(const struct driver *driver, struct driver_status *out);

/* Until when, by the clock port, everything that this node owns is safe: its executors may live so long. UINT64_MAX: it
 * owns nothing. */
uint64_t driver_safe_until_ms(const struct driver *driver);

/* What the leaving did, as one msgpack map (docs/protocol.md, `drain`). False: no memory. */
bool driver_receipt(struct driver *driver, struct buf *out);

#endif
