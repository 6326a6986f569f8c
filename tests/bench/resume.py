#!/usr/bin/env python3
"""Does a session resume at the cost of its live state, or of its past? One with 100 past inputs beside one with 100,000.

    resume.py [ROUNDS [PAST]]         60 rounds, 100,000 past inputs unless said otherwise

The two lie in partitions of their own. Their past went through the node, so all of it is there: outbox, receipts, names for
deduplication (retention as by default). Measured in turns, the one first and then the other, from the sending of one input to its
completion, by libmeerkat:
  - evicted: the session had left memory (--idle-evict-ms), nothing else happened;
  - restarted: the node was killed with -9 and started again, and this is the session's first input.
Memory: a node is started anew, and its resident memory read after the first input of the one session or of the other.
Exit code 1 when a ratio of medians is above 1.5.

The load program is MEERKAT_BENCH, else build/tests/bench/bench.
"""
import os
import pathlib
import platform
import re
import statistics
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import Lab, die_when_told, wait_until  # noqa: E402 (the path first)
from owners import PARTITIONS, key  # noqa: E402

BENCH = os.environ.get("MEERKAT_BENCH", str(ROOT / "build" / "tests" / "bench" / "bench"))
FEW, BODY_BYTES, IN_FLIGHT, SLICE = 100, 64, 1000, 20000
LEASE_MS, EVICT_MS, STAYS_MS = 500, 100, 600000
RATIO_MAX = 1.5
RESTARTS_OF = 2  # rounds: a restart takes longer
NAMES = ("few", "many")


def load(lab, name, inputs, in_flight=1):
    """The bench calls its first session NAME0. Its line of key=value as numbers."""
    end = lab.run(BENCH, "load", lab.h.bus, str(inputs), "1", str(in_flight), str(BODY_BYTES), name, seconds=180)
    if end.code != 0:
        raise AssertionError(f"{inputs} inputs to {name} failed: {end}")
    return {key: int(value) for key, value in (word.split("=") for word in end.out.split())}


def first_us(lab, name):
    """One input to a session that is not in memory."""
    return load(lab, name, 1)["us"]


def fill(lab, past):
    for name, inputs in zip(NAMES, (FEW, past)):
        for done in range(0, inputs, SLICE):
            load(lab, name, min(SLICE, inputs - done), IN_FLIGHT)
            print(f"  {name}: {min(done + SLICE, inputs):,} of {inputs:,} past inputs", file=sys.stderr, flush=True)


def entries(lab, name):
    """What the store holds of its past: names and receipts, entries of the outbox."""
    return lab.r.query("HLEN", key(name + "0", "t")), lab.r.query("XLEN", key(name + "0", "o"))


def start_node(lab, evict_ms):
    lab.n = lab.node(lab.r.store, lab.h.bus, "n1", LEASE_MS, ("--idle-evict-ms", str(evict_ms)))
    wait_until(lambda: lab.n.metric("meerkat_partitions_owned") == PARTITIONS and lab.n.green(), 20, "it owns every partition")


def end_node(lab):
    lab.n.kill()
    lab.processes.remove(lab.n)


def evicted(lab, rounds):
    times = {name: [] for name in NAMES}
    for number in range(rounds):
        for name in NAMES[::1 if number % 2 else -1]:
            wait_until(lambda: lab.n.metric("meerkat_sessions") == 0, 10, "every session has left memory")
            times[name].append(first_us(lab, name))
    return times


def restarted(lab, rounds):
    times, memory = {name: [] for name in NAMES}, {name: [] for name in NAMES}
    for number in range(rounds):
        for name in NAMES[::1 if number % 2 else -1]:
            end_node(lab)
            start_node(lab, STAYS_MS)
            times[name].append(first_us(lab, name))
            memory[name].append(resident_kb(lab.n))
        print(f"  restart {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return times, memory


def resident_kb(process):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1))


def print_row(what, unit, scale, values):
    few, many = (statistics.median(values[name]) / scale for name in NAMES)
    ratio = many / few
    print(f"{what:<44}{few:>12,.2f}{many:>12,.2f} {unit}{ratio:>8.2f}   {'met' if ratio <= RATIO_MAX else 'MISSED'}  "
          f"({len(values[NAMES[0]])} rounds)")
    return ratio <= RATIO_MAX


def main(rounds=60, past=100000):
    die_when_told()
    with Lab() as lab:
        lab.r, lab.h = lab.redis(), lab.hub()
        start_node(lab, EVICT_MS)
        fill(lab, past)
        held = {name: entries(lab, name) for name in NAMES}
        after_eviction = evicted(lab, rounds)
        after_restart, memory = restarted(lab, max(rounds // RESTARTS_OF, 1))
    print(f"\n{platform.machine()}, {os.cpu_count()} processors, medians; inputs durable (Redis append-only file, fsync every second), "
          f"body {BODY_BYTES} bytes, executor echo;\none publisher, hub, node and Redis on one machine; a ratio may be {RATIO_MAX}")
    for name, inputs in zip(NAMES, (FEW, past)):
        print(f"{name}: {inputs:,} past inputs; in the store {held[name][0]:,} names and receipts, {held[name][1]:,} outbox entries")
    print(f"\n{'':<44}{f'{FEW:,}':>12}{f'{past:,}':>12} past inputs   ratio")
    met = [print_row("evicted: first input to its completion", "ms", 1000, after_eviction),
           print_row("restarted: first input to its completion", "ms", 1000, after_restart),
           print_row("resident memory of a node with the session", "MB", 1024, memory)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as error:
        sys.exit(f"the measurement failed: {error}")
