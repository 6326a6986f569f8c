/* clang-format off */
/* The form of each store call on the wire to the store: flat keys and arguments, flat replies. One place for both ends to read;
 * redis/lua/<name>.lua is the other end. All numbers are decimal text. `now` is the store's TIME in ms, the first item of every
 * reply. <lease> = node, incarnation of the caller, the first two arguments wherever leases are compared. Status words:
 * held, other, free, again, sequence.
 *
 * Keys of partition p in group g = p mod groups, with pp = four hex digits:  mk:{g}:pp:L  for L in
 *   l lease (hash)   s heads (hash: session)    i active inputs (hash: session/seq)    x states (hash: session)
 *   t facts (hash: session/kind/name)           o outbox (stream)                      d dead letters (stream)
 * Lease fields: v history node inc fence seq pub hor bytes ren exp beg succ d0..d7 (digest of commit n in d<n mod 8>, as
 * "digest:i,j" with the sections that were skipped).
 *
 * found    K  mk:{c}:facts
 *          A  version, partitions, groups, cluster id to use if there is none
 *          R  now, version, partitions, groups, cluster id            (of what is stored, first come first stored)
 * claim    K  l per partition
 *          A  <lease>, lease_ms, then per partition: highest fence heard, history to use if there is none,
 *             renewal counter that stood still for two leases ("" = none)
 *          R  now, then per partition: status (held | other), <record> = history, node, inc, fence, seq, pub, hor, bytes, ren, exp,
 *             beg, succ
 *             free to take: no record, no owner, exp <= now, or the counter that stood still. Already the caller's: held, unchanged.
 *             fence := max(stored + 1, now in us, heard + 1); beg := seq
 * watch    K  l per partition
 *          A  none
 *          R  now, then per partition: status (free: no record, no owner, exp <= now | other), <record>
 * members  K  mk:{c}:members
 *          A  <lease>, lease_ms, phase (working | deaf | draining; "" = the caller is no member any more)
 *          R  now, status (held = written | other: another incarnation of this node id is alive, nothing was written),
 *             then per member alive, the caller too: node, inc, phase, exp
 *             Hash: field = node, value = "inc exp phase". Those that expired ten minutes ago are deleted.
 *             claim and watch tell a record of another version as `other` without a history, and leave it alone.
 * renew    K  l per partition
 *          A  <lease>, lease_ms, then per partition: fence, renewal counter (absolute)
 *          R  now, then per partition: status (held | other | free), node, fence, beg
 * release  K  l s per partition
 *          A  <lease>, then per partition: fence, successor ("" = none), pub
 *          R  now, then per partition: status (held = released now | other | free), node, fence, heads in s
 * commit   K  l s i x t o d per partition
 *          A  <lease>, then per partition: fence, seq (the new one), digest, pub, hor, bytes, number of sections;
 *             then per section: number of operations; then per operation: code, field, value:
 *               ?  condition: hash t has no such field, or exactly this value
 *               s S  set, delete in s      i I  in i      x X  in x      t T  in t      ("" as the value of a delete)
 *               o  an event for the outbox: field = session, value = the message
 *               d  a dead letter: field = session, value = the record
 *               D  of the dead letters the newest <value> stay (field "")
 *               -  trim: outbox entries with an id up to <value>-* are deleted (field "")
 *          R  now, then per partition: status (held | again | other | free | sequence), seq, fence, beg stored, number skipped;
 *             then per skipped section: its index from 0, number of failed conditions, then field, value each
 *             Everything is validated for all partitions before anything is written; a partition whose lease or sequence does not
 *             fit is left out, the others stand. Outbox: one entry `<seq>-1` per partition, fields session, message, session, ...;
 *             none if there are no events. Dead letters: an entry each, `<seq>-1`, `<seq>-2`..., fields session, record. Sequence and
 *             digest are written last.
 * load     K  l s i x per session
 *          A  <lease>, then per session: fence, session
 *          R  now, then per session: status (held | other | free), head or nil, state or nil, number of rows, then seq, row each
 *             A head is "seqs|record": seqs = comma-separated active admission sequences and ranges ("3,5-9"), may be empty.
 *             A row that is listed and absent comes as nil.
 * facts    K  l t per name
 *          A  <lease>, then per name: fence, field
 *          R  now, then per name: status, value or nil
 * active   K  l i
 *          A  <lease>, fence
 *          R  now, status, then the fields of i
 * events   K  l o, or l d: the dead letters, told in the same way
 *          A  <lease>, fence, from (an exclusive stream id, "" = the beginning), count of entries to look at, session ("" = all)
 *          R  now, status, last id looked at ("" = the end was reached), then per event: id, session, message
 * list     K  l s
 *          A  <lease>, fence, cursor ("0" first), count
 *          R  now, status, next cursor ("0" = done), then per session: session, head
 */
/* clang-format on */
#ifndef MEERKAT_CODEC_SCRIPT_H
#define MEERKAT_CODEC_SCRIPT_H

#include "node/core/port.h"

/* Key of a partition, e.g. 'l'. `out` has room for KEY_BYTES. Returns its length. */
#define KEY_BYTES 32
size_t key_of(char out[KEY_BYTES], uint32_t partition, uint32_t groups, char letter);

#define KEY_FACTS   "mk:{c}:facts"
#define KEY_MEMBERS "mk:{c}:members"

#endif
