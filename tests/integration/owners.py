"""Who owns which partition: as it should be (rendezvous hashing over the nodes' names), as the store has it (leases), and as the
nodes say it (heartbeats). Asked from the outside, and computed here a second time: two programs that agree are more than one."""
import binascii
import time
from collections import namedtuple

from wire import SUB, Pipe, unpack

PARTITIONS = 256
_MASK = 2**64 - 1

# --- as it should be --------------------------------------------------------------------------------------------------


def _mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _hash(text):
    h = 1469598103934665603
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) & _MASK
    return h


def wanted(names):
    """{partition: node}: the node with the highest weight for it."""
    hashes = {name: _hash(name) for name in names}

    def weight(name, partition):
        return _mix(hashes[name] ^ _mix((partition + 0x9E3779B97F4A7C15) & _MASK))

    return {p: max(hashes, key=lambda name: weight(name, p)) for p in range(PARTITIONS)}


# --- as the store has it ----------------------------------------------------------------------------------------------

Lease = namedtuple("Lease", "node inc fence seq exp succ")

# One script: all leases of one moment, and the store's time.
_LEASES = """local t, out = redis.call('TIME'), {}
for p = 0, ARGV[1] - 1 do
    out[p + 1] = redis.call('HMGET', string.format('mk:{0}:%04x:l', p), 'node', 'inc', 'fence', 'seq', 'exp', 'succ')
end
return {t[1] * 1000 + math.floor(t[2] / 1000), out}"""


def key(session, letter):
    """Of a session's partition in the store (docs/keys.md)."""
    return f"mk:{{0}}:{binascii.crc_hqx(session.encode(), 0) % PARTITIONS:04x}:{letter}"


def leases(redis):
    """(the store's time in ms, {partition: lease}); a partition that was never owned is left out."""
    now, rows = redis.query("EVAL", _LEASES, 0, PARTITIONS)
    text = [[(field or b"").decode() for field in row] for row in rows]
    return now, {p: Lease(r[0], r[1], int(r[2]), int(r[3]), int(r[4]), r[5]) for p, r in enumerate(text) if r[2]}


def owners(redis):
    """{partition: node} of the leases that run."""
    now, all_leases = leases(redis)
    return {p: lease.node for p, lease in all_leases.items() if lease.node and lease.exp > now}


def fences(redis):
    return {p: lease.fence for p, lease in leases(redis)[1].items()}


def owned_by(redis, name):
    return {p for p, node in owners(redis).items() if node == name}


def settle(redis, names, meanwhile=None, seconds=15):
    """Waits until every partition is where it belongs when these nodes work, and no others. `meanwhile` is called all the time, to
    keep a load going; the store is asked 20 times a second at most. Returns {partition: node}."""
    end, belongs, asked = time.monotonic() + seconds, wanted(names), 0
    while True:
        (meanwhile or _breathe)()
        now = time.monotonic()
        if now - asked < 0.05:
            continue
        asked, are = now, owners(redis)
        if are == belongs:
            return are
        if now > end:
            wrong = {p: (are.get(p), node) for p, node in belongs.items() if are.get(p) != node}
            raise AssertionError(f"not within {seconds} s: partitions are where they belong with {sorted(names)}; "
                                 f"{len(wrong)} are not (partition: is, should be): {dict(list(wrong.items())[:5])}")


def _breathe():
    time.sleep(0.01)


def sessions_in(redis, partitions):
    """How many sessions the store has in these."""
    return sum(redis.query("HLEN", f"mk:{{0}}:{p:04x}:s") for p in partitions)


# --- as the nodes say it ----------------------------------------------------------------------------------------------


class Beats:
    """The last heartbeat of each node, by its id."""

    def __init__(self, lab):
        self.pipe = Pipe(lab.h.bus.split("|")[1], SUB)
        self.of = {}
        lab.clients.append(self)

    def hear(self, seconds=0.0):
        for frame in self.pipe.frames(seconds):
            topic, _, body = frame.partition(b"\0")
            if topic.startswith(b"hb/"):
                beat = unpack(body)[0]
                if beat["role"] == "node":
                    self.of[beat["node"]] = beat
        return self.of

    def partitions(self, node, key):
        """What the last beat lists under `owned`, `handing`, `expecting` or `suspended`, as numbers."""
        return {p if isinstance(p, int) else int(p, 16) for p in self.of.get(node, {}).get(key) or ()}

    def close(self):
        self.pipe.close()
