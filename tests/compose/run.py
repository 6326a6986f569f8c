#!/usr/bin/env python3
"""`make compose-test`: the compose file on a real Docker engine. Builds the images, brings the cluster up, does to it what breaks
in the field (scenarios.py) under load, checks what came over the wire, and takes it down, however it ends.

    run.py [WORD]...    only scenarios whose name contains one of the words

One line a scenario; the last line is `N passed, N failed`. Exit codes: 0 all passed, 1 something failed, 77 there is no Docker
engine and nothing was run.
"""
import pathlib
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import engine  # noqa: E402 (the path first)
from harness import die_when_told  # noqa: E402
from meerkat_client import Client  # noqa: E402
from scenarios import LEASE_MS, SCENARIOS, Cluster  # noqa: E402

NO_ENGINE = 77
SECONDS = 90  # a scenario's bound; an attribute `seconds` is its own


class TooLong(Exception):
    pass


def attempt(scenario, cluster):
    """What to say about it, and whether it went well."""

    def too_long(_number, _frame):
        raise TooLong(f"it took more than {seconds} s")

    seconds = getattr(scenario, "seconds", SECONDS)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        return scenario(cluster), True
    except Exception:
        return traceback.format_exc(), False
    finally:
        signal.alarm(0)


def play(cluster, scenarios):
    """The scenarios in turn; stops at the first that fails, since the next would meet what it left. Returns (passed, failed)."""
    passed = 0
    for scenario in scenarios:
        name = scenario.__name__.replace("_", " ")
        why_not = getattr(scenario, "needs", lambda _project: None)(cluster.project)
        if why_not:
            print(f"not done      {name}: {why_not}", flush=True)
            continue
        began = time.monotonic()
        said, well = attempt(scenario, cluster)
        print(f"{'ok  ' if well else 'FAIL'} {time.monotonic() - began:5.1f} s  {name}")
        print(" " * 12, said, flush=True)
        if not well:
            cluster.project.save_logs()
            return passed, 1
        passed += 1
    return passed, 0


def step(what, began=time.monotonic()):
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def main(words):
    why_not = engine.missing()
    if why_not:
        print(f"compose-test: {why_not}; nothing was run")
        return NO_ENGINE
    die_when_told()
    scenarios = [s for s in SCENARIOS if not words or any(word in s.__name__ for word in words)]
    if not scenarios:
        print("0 passed, 0 failed: no scenario is called so")
        return 1
    engine.need_base()
    with engine.Project({"MEERKAT_LEASE_MS": str(LEASE_MS), "MEERKAT_DEMO_PAUSE": "0.2"}) as project:
        step(f"building {project.tag}")
        project.build()
        step(f"up as {project.name}")
        project.up()
        step("it is up")
        client = Client(project.bus())
        passed, failed = play(Cluster(project, client), scenarios)
        client.close()
        step("down")
    step(f"gone; for the next time the images stay (meerkat-node:{project.tag}, meerkat-redis:{project.tag})")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as error:
        sys.exit(f"compose-test failed: {error}")
