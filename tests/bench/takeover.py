#!/usr/bin/env python3
"""Take-over, measured: the owner of 10,000 sessions, 500 of them with waiting work, is killed with -9; how long until the other
node completes the first of that work, and how long until all of it is done.

    takeover.py [ROUNDS [LEASE_MS]...]         20 rounds at leases of 500 and 3000 ms unless said otherwise

Two nodes, `a` and `b`, share 20,000 sessions: the names are chosen so that 10,000 of them lie in the partitions of each. They are
made once. A round:
  - `a` owns its share (after the last round's kill it came back, and got it by hand-over);
  - 500 of its 10,000 sessions, others each round, get an input whose run is in flight, and one more that waits behind it.
    Their executor is a sleep of ten minutes on `a` and an echo on `b`: at the kill every run is in flight, and what is measured
    afterwards is the take-over, not the executor;
  - after a random part of a third of the lease (a node renews every third of it) `a` is killed;
  - `b`, which goes on owning its own share, completes both inputs of the 500: the first one is the first resumed completion.
Times count from just before the kill to when a client hears the completion on the bus.
"""
import os
import pathlib
import platform
import random
import statistics
import sys
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import Lab, die_when_told, wait_until  # noqa: E402 (the path first)
from load import Load  # noqa: E402
from owners import fences, owned_by, sessions_in, settle, wanted  # noqa: E402

SESSIONS, WAITING = 10000, 500
EXECUTORS = {"a": "work=builtin:sleep", "b": "work=builtin:echo"}
LONG_MS = 600000
FIRST_MEDIAN_MS, FIRST_WORST_MS, ALL_MS = 300, 1000, 1000  # targets: beyond the lease; beyond the lease; beyond the first


def names_of(client):
    """{node: 10,000 session ids in its partitions}"""
    belongs, names, i = wanted(EXECUTORS), {node: [] for node in EXECUTORS}, 0
    while any(len(list_) < SESSIONS for list_ in names.values()):
        name = f"session-{i}"
        mine = names[belongs[client.partition(name)]]
        if len(mine) < SESSIONS:
            mine.append(name)
        i += 1
    return names


def start(lab, lease_ms):
    nodes = {}
    for name, executor in EXECUTORS.items():
        options = ("--executor", executor)
        nodes[name] = lab.node(lab.r.store, lab.h.bus, name, lease_ms, options, wait=False)
    for node in nodes.values():
        node.wait_ready()
    settle(lab.r, EXECUTORS, seconds=60)
    return nodes


def make_sessions(lab, client, names):
    load = Load(client, window=1000)
    for pair in zip(*names.values()):
        for name in pair:
            load.add(name, 0, executor="work")
    load.finish(180)
    there = sessions_in(lab.r, owned_by(lab.r, "a"))
    assert there == SESSIONS, f"a owns {there} sessions, not {SESSIONS}"


def put_work(load, node, names):
    """One run in flight for each, then one input that waits behind it."""
    for name in names:
        load.add(name, LONG_MS, executor="work")
    load.run_until(lambda: load.accepted == len(names), 30, "the first inputs are accepted")
    wait_until(lambda: node.metric("meerkat_executor_runs") == len(names), 10, "all are in flight")
    for name in names:
        load.add(name, LONG_MS, executor="work")
    load.run_until(lambda: load.accepted == 2 * len(names), 30, "the second inputs are accepted")
    assert not load.completed, load


def one_round(lab, client, nodes, names, lease_ms):
    """(ms to the first resumed completion, ms until all are)"""
    settle(lab.r, EXECUTORS, seconds=60)
    assert sessions_in(lab.r, owned_by(lab.r, "a")) == SESSIONS
    load = Load(client, window=4096, again=10)
    put_work(load, nodes["a"], names)
    before = fences(lab.r)
    load.run_for(random.random() * lease_ms / 3000)
    killed = time.monotonic()
    nodes["a"].kill()
    load.finish(lease_ms / 1000 + 60)
    resumed = load.resumed(before)
    assert len(resumed) == 2 * len(names), f"{len(resumed)} were resumed"
    nodes["a"].start()
    return (resumed[0][0] - killed) * 1000, (resumed[-1][0] - killed) * 1000


def measure(lab, client, names, lease_ms, rounds, make):
    nodes = start(lab, lease_ms)
    if make:
        make_sessions(lab, client, names)
    times = []
    for number in range(rounds):
        at = number * WAITING % SESSIONS
        times.append(one_round(lab, client, nodes, names["a"][at:at + WAITING], lease_ms))
        print("  lease {} ms, round {} of {}: first {:,.0f} ms, all {:,.0f} ms".format(lease_ms, number + 1, rounds, *times[-1]),
              file=sys.stderr, flush=True)
    for node in nodes.values():
        node.kill()
        lab.processes.remove(node)
    return times


def three(values):
    return [min(values), statistics.median(values), max(values)]


def print_table(results):
    form = "{:>8}{:>8}{:>10}{:>9} |" + "{:>8}{:>8}{:>8} |" * 2 + "{:>8}{:>8}{:>8}"
    groups = "{:>35} |" + "{:>24} |" * 2 + "{:>24}"
    print(groups.format("", "until first resumed, ms", "until all resumed, ms", "first to all, ms"))
    print(form.format("lease ms", "rounds", "sessions", "waiting", *("min", "median", "worst") * 3))
    for lease_ms, times in results:
        first, last, between = three([a for a, _ in times]), three([b for _, b in times]), three([b - a for a, b in times])
        row = [f"{value:,.0f}" for value in first + last + between]
        print(form.format(f"{lease_ms:,}", len(times), f"{SESSIONS:,}", f"{WAITING:,}", *row))
        targets = (lease_ms + FIRST_MEDIAN_MS, lease_ms + FIRST_WORST_MS, ALL_MS)
        met = first[1] <= targets[0] and first[2] <= targets[1] and between[2] <= targets[2]
        limits = ["", f"{targets[0]:,}", f"{targets[1]:,}", "", "", "", "", "", f"{targets[2]:,}"]
        print(form.format("", "target", "met" if met else "MISSED", "", *limits))


def main(rounds=20, *leases):
    die_when_told()
    with Lab() as lab:
        lab.r, lab.h = lab.redis(), lab.hub()
        client = lab.client(watch="*")
        names, results = names_of(client), []
        for lease_ms in leases or (500, 3000):
            results.append((lease_ms, measure(lab, client, names, lease_ms, rounds, make=not results)))
    print(f"\n{platform.machine()}, {os.cpu_count()} processors; two nodes, Redis (append-only file, fsync every second), hub and client "
          f"on one machine;\na session with waiting work has one run in flight and one input behind it\n")
    print_table(results)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as error:
        sys.exit(f"the measurement failed: {error}")
