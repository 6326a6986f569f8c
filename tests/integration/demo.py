#!/usr/bin/env python3
"""The main job, to look at: inputs travel over a real bus into sessions, run, are committed into a real Redis and come back as
completions. Halfway the node is killed with -9 and started again.

    demo.py [INPUTS [SESSIONS]]      1000 inputs to 100 sessions unless said otherwise

Everything is private (a folder in /tmp, unix sockets, free ports) and gone at the end. Exit code 0: nothing lost, nothing
counted twice; else 1.
"""
import sys
import time

sys.dont_write_bytecode = True

from harness import Lab, die_when_told  # noqa: E402 (no byte code first)
from load import Load  # noqa: E402

WINDOW = 100  # inputs on their way at a time: the kill meets a load that is far from over


class Story:
    """Lines for people, with the seconds since the beginning."""

    def __init__(self):
        self.began = time.monotonic()

    def tell(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)


def play(lab, inputs, sessions):
    story = Story()
    lab.cluster()
    story.tell(f"redis-server (append-only file on), hub and node are ready; the bus is {lab.h.bus}")
    load = Load(lab.client(watch="*"), window=WINDOW)
    for i in range(inputs):
        load.add(f"counter-{i % sessions}")
    story.tell(f"sending {inputs:,} inputs to {sessions:,} sessions, at most {WINDOW} on their way")
    load.run_until(lambda: load.completed >= inputs // 2, 60, "half is completed")
    lab.n.kill()
    story.tell(f"kill -9 of the node, {load.completed:,} completed, {len(load.flying):,} on their way")
    lab.n.start(wait=False)
    load.run_until(lambda: load.completed > inputs // 2 + len(load.flying) // 2, 60, "it goes on")
    story.tell(f"started again, {load.completed:,} completed")
    load.finish(60)
    story.tell("all are answered; reading every session's events again from the first")
    load.history.replay(load.client)
    return load


def report(load, inputs, seconds):
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
    print(f"\n  {events:,} numbered events without a gap, {repeats:,} inputs sent again with the same id, {seconds:.1f} s in all")
    for line in wrong[:10]:
        print(f"  WRONG  {line}")
    return not wrong and not lost and not twice and load.accepted == inputs


def main(inputs=1000, sessions=100):
    die_when_told()
    began = time.monotonic()
    with Lab() as lab:
        load = play(lab, inputs, sessions)
    well = report(load, inputs, time.monotonic() - began)
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as error:
        sys.exit(f"the demo failed: {error}")
