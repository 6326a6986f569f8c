#!/usr/bin/env python3
"""Runs the integration tests: every function test_* of every test_*.py here, one after the other, each within its time.

    run.py [WORD]...    only tests whose name (file.function) contains one of the words

One line a test; the last line is `N passed, N failed`. Fails when a test fails and when nothing ran.
"""
import importlib
import pathlib
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import die_when_told  # noqa: E402 (the path first)

SECONDS = 30  # a test's bound; a function's attribute `seconds` is its own


class TooLong(Exception):
    pass


def tests(words):
    for file in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(file.stem)
        for name, function in vars(module).items():
            full = f"{file.stem[5:]}.{name[5:]}"
            if name.startswith("test_") and callable(function) and (not words or any(word in full for word in words)):
                yield full, function


def run(function):
    """None, or what went wrong."""

    def too_long(_number, _frame):
        raise TooLong(f"it took more than {seconds} s")

    seconds = getattr(function, "seconds", SECONDS)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        function()
        return None
    except Exception:
        return traceback.format_exc()
    finally:
        signal.alarm(0)


def main(words):
    die_when_told()
    passed = failed = 0
    for name, function in tests(words):
        began = time.monotonic()
        wrong = run(function)
        print(f"{'FAIL' if wrong else 'ok  '} {time.monotonic() - began:5.1f} s  {name}", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
        if wrong:
            print(wrong, flush=True)
    print(f"{passed} passed, {failed} failed" + ("" if passed + failed else ": nothing ran"))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
