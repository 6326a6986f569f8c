#!/usr/bin/env python3
"""The main job, to look at: inputs travel over a real bus into sessions, run, are committed into a real Redis and come back as
completions. Two nodes share the sessions. Halfway the one that owns more of them is killed with -9, for good; the other takes
them over when the dead node's leases end.

    demo.py [INPUTS [SESSIONS]]      1000 inputs to 100 sessions unless said otherwise

Everything is private (a folder in /tmp, unix sockets, free ports) and gone at the end. Exit code 0: nothing lost, nothing
counted twice; else 1.
"""
import sys
import time
from collections import Counter

sys.dont_write_bytecode = True

from harness import Lab, die_when_told  # noqa: E402 (no byte code first)
from load import Load  # noqa: E402
from owners import fences as fences_of, settle  # noqa: E402

WINDOW = 100  # inputs on their way at a time: the kill meets a load that is far from over
LEASE_MS = 1000


class Story:
    """Lines for people, with the seconds since the beginning."""

    def __init__(self):
        self.began = time.monotonic()

    def tell(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)


def owner_of_more(load, owners):
    """(node, how many sessions it owns, how many there are)"""
    sessions = {message["session"] for message in load.waiting}
    owned = Counter(owners[load.client.partition(session)] for session in sessions)
    return *owned.most_common(1)[0], len(sessions)


def play(lab, inputs, sessions):
    """(the load, ms from the kill to the next completion of a session whose owner it was)"""
    story = Story()
    nodes = lab.nodes("n1", "n2", lease_ms=LEASE_MS)
    story.tell(f"redis-server (append-only file on), hub and two nodes are ready; the bus is {lab.h.bus}")
    load = Load(lab.client(watch="*"), window=WINDOW)
    for i in range(inputs):
        load.add(f"counter-{i % sessions}")
    owners = settle(lab.r, nodes)
    victim, owned, count = owner_of_more(load, owners)
    story.tell(f"the {count:,} sessions are shared out: {victim} owns {owned:,} of them")
    story.tell(f"sending {inputs:,} inputs, at most {WINDOW} on their way")
    load.run_until(lambda: load.completed >= inputs // 2, 60, "half is completed")
    fences = {p: fence for p, fence in fences_of(lab.r).items() if owners[p] == victim}
    load.send()
    killed = time.monotonic()
    nodes[victim].kill()
    story.tell(f"kill -9 of {victim}, for good; {load.completed:,} completed, {len(load.flying):,} on their way")
    load.finish(60)
    resumed = load.resumed(fences)
    story.tell("all are answered; reading every session's events again from the first")
    load.history.replay(load.client)
    return load, (resumed[0][0] - killed) * 1000 if resumed else None


def report(load, inputs, seconds, resumed_ms):
    """Prints it; true when all is well."""
    history = load.history
    wrong = history.check()
    lost = inputs - load.completed
    # A counter adds one for each input: what stands there beyond the inputs completed was counted again.
    twice = max(history.counted() - load.completed, len(history.twice()))
    events = sum(len(numbers) for numbers in history.events.values())
    repeats = sum(known.times - 1 for known in history.inputs.values())
    print()
    for what, count in (("accepted", load.accepted), ("completed", load.completed), ("lost", lost), ("counted twice", twice)):
        print(f"  {what:<14}{count:>7,}")
    if resumed_ms:
        print(f"\n  {resumed_ms:,.0f} ms from the kill to the next completion of a session of the dead node; its lease was {LEASE_MS:,} ms")
    print(f"  {events:,} numbered events without a gap, {repeats:,} inputs sent again with the same id, {seconds:.1f} s in all")
    for line in wrong[:10]:
        print(f"  WRONG  {line}")
    return not wrong and not lost and not twice and load.accepted == inputs and bool(resumed_ms)


def main(inputs=1000, sessions=100):
    die_when_told()
    began = time.monotonic()
    with Lab() as lab:
        load, resumed_ms = play(lab, inputs, sessions)
    well = report(load, inputs, time.monotonic() - began, resumed_ms)
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as error:
        sys.exit(f"the demo failed: {error}")
