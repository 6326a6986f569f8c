#!/usr/bin/env python3
"""The bench: durable inputs through hub, node and Redis, beside the same Redis doing the same writes for a bare client.

    run.py [ROUNDS]         3 unless said otherwise; ROUNDS=1 is a look, not a measurement

A round of "meerkat" starts a Redis (append-only file, fsync every second), a hub and a node of its own and sends the load with
libmeerkat. The round of "bare" that follows it starts an empty Redis with the same options and sends it, pipelined and without
transactions, exactly the commands that the node's scripts left in the append-only file: the same writes, nothing else. The two
take turns; the table shows medians. Only the ratio of two lines of one run means something: absolute figures are this machine's.

The load program is MEERKAT_BENCH, else build/tests/bench/bench.
"""
import os
import pathlib
import platform
import statistics
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import Lab, die_when_told  # noqa: E402 (the path first)

BENCH = os.environ.get("MEERKAT_BENCH", str(ROOT / "build" / "tests" / "bench" / "bench"))
BODY_BYTES, SESSIONS = 200, 1000

# inputs on their way at a time, inputs of a round
MODES = ((1, 2000), (1000, 30000))


def bench(lab, *args):
    """Runs the load program; its line of key=value as numbers."""
    end = lab.run(BENCH, *map(str, args), seconds=180)
    if end.code != 0:
        raise AssertionError(f"bench {args[0]} failed: {end}")
    return {key: int(value) for key, value in (word.split("=") for word in end.out.split())}


def aof(redis):
    """The file to which Redis appends."""
    return next(redis.folder.glob("appendonlydir/*.incr.aof"))


def meerkat_round(lab, in_flight, inputs):
    """(figures, the append-only file, where the measured part begins)"""
    lab.cluster(lease_ms=3000)
    bench(lab, "load", lab.h.bus, SESSIONS, SESSIONS, min(100, SESSIONS), BODY_BYTES, "s")  # the sessions come into being
    skip = aof(lab.r).stat().st_size
    figures = bench(lab, "load", lab.h.bus, inputs, SESSIONS, in_flight, BODY_BYTES, "s")
    lab.n.terminate()
    lab.n.wait(20)
    lab.h.terminate()
    lab.r.kill()
    return figures, aof(lab.r), skip


def bare_round(lab, file, skip, in_flight):
    redis = lab.redis("bare")
    figures = bench(lab, "replay", redis.socket, file, skip, 0 if in_flight == 1 else in_flight)
    redis.kill()
    return figures


def one_mode(in_flight, inputs, rounds):
    ours, bare = [], []
    for number in range(rounds):
        with Lab() as lab:
            figures, file, skip = meerkat_round(lab, in_flight, inputs)
            ours.append({**figures, "rate": inputs * 1e6 / figures["us"]})
            figures = bare_round(lab, file, skip, in_flight)
            bare.append({**figures, "rate": inputs * 1e6 / figures["us"]})
        print(f"  {in_flight} in flight, round {number + 1} of {rounds}: {ours[-1]['rate']:,.0f} and {bare[-1]['rate']:,.0f} inputs/s",
              file=sys.stderr, flush=True)
    return ours, bare


def median(rounds, key):
    return statistics.median(figures[key] for figures in rounds)


def print_mode(in_flight, inputs, ours, bare):
    spread = max(o["rate"] for o in ours) / min(o["rate"] for o in ours)
    commands, size = median(bare, "commands") / inputs, median(bare, "bytes") / inputs
    print(f"\n{in_flight:,} in flight, {inputs:,} inputs a round ({commands:.1f} Redis commands, {size:,.0f} bytes of log for each)")
    print(f"{'':<24}{'inputs/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    print(f"{'meerkat':<24}{median(ours, 'rate'):>10,.0f}{median(ours, 'p50_us') / 1000:>10.2f}{median(ours, 'p99_us') / 1000:>10.2f}")
    tail = ""
    if in_flight == 1:  # an input is several scripts, one after the other
        tail = f"   one script's writes: p50 {median(bare, 'p50_us') / 1000:.2f}, p99 {median(bare, 'p99_us') / 1000:.2f} ms"
    print(f"{'bare Redis, same writes':<24}{median(bare, 'rate'):>10,.0f}{tail}")
    print(f"{'ratio':<24}{statistics.median(o['rate'] / b['rate'] for o, b in zip(ours, bare)):>10.2f}"
          f"   spread of meerkat over the rounds {spread:.2f}x")


def main(rounds=3):
    die_when_told()
    results = [(mode, one_mode(*mode, rounds)) for mode in MODES]
    print(f"\n{platform.machine()}, {os.cpu_count()} processors, medians of {rounds} rounds; durability: Redis append-only file, fsync "
          f"every second;\nbody {BODY_BYTES} bytes, {SESSIONS:,} sessions, executor echo; one publisher on one tcp connection each "
          f"way, one hub, one node,\none Redis connection on a unix socket, for both")
    for (in_flight, inputs), (ours, bare) in results:
        print_mode(in_flight, inputs, ours, bare)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as error:
        sys.exit(f"the bench failed: {error}")
