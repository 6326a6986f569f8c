#!/usr/bin/env python3
"""Builds the deliberate defects of tests/mutants/list one by one and shows that the tests catch each.

    mutants.py [NAME...]      all of them, or the named ones; -v shows what a test says

Works on a copy of the tree in a temporary folder (TMPDIR). The copy must pass every test first, unchanged. Then each
mutant is applied, what it touched is built, its test is run until its first complaint, and the change is taken back.
A mutant fails when its test passes (the tests have a hole), when its old text is not found exactly once (it has
drifted: the program changed and the mutant must follow), when it does not build, and when its test gives no verdict in
time. Last line: N passed, N failed.

The list, a mutant after the other:

    mutant NAME
    breaks THE PROMISE, in one sentence
    test   sim SEEDS | sequences COUNT | unit LAYER/PROGRAM | conformance PROGRAM
    in     FILE
    <lines as in a diff: ' ' stays, '-' goes, '+' comes; a mutant may have several such parts, each under its `in`>
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIST = os.path.join(ROOT, "tests", "mutants", "list")
PARTS = ("Makefile", "node", "bus", "codec", "redis", "tests")
VARIANT = "mutants"
TEST_SECONDS = 240
BUILD_SECONDS = 300

# The first line of a test's output that names what is broken.
COMPLAINTS = (
    re.compile(r"^((?:seed|sequence) \d+ broke .*)"),
    re.compile(r"^(scenario \w+(?:, telling \d+)?: .*)"),
    re.compile(r"^((?:seed|sequence) \d+ ended the process)"),
    re.compile(r"^\[  FAILED  \] ([a-z]\w+)$"),
)


class Bad(Exception):
    """What is wrong with a mutant, in words."""


class Mutant:
    def __init__(self, name):
        self.name = name
        self.breaks = ""
        self.test = ()
        self.changes = []  # (file, lines)


def read_list(path):
    mutants = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            word, _, rest = line.partition(" ")
            rest = rest.strip()
            if line[:1] in (" ", "-", "+"):
                mutants[-1].changes[-1][1].append(line)
            elif word == "mutant":
                mutants.append(Mutant(rest))
            elif word == "breaks":
                mutants[-1].breaks = rest
            elif word == "test":
                mutants[-1].test = tuple(rest.split())
            elif word == "in":
                mutants[-1].changes.append((rest, []))
            elif line and word != "#":
                sys.exit(f"{path}:{number}: not understood: {line}")
    names = [mutant.name for mutant in mutants]
    for mutant in mutants:
        if not (mutant.breaks and mutant.test and mutant.changes) or names.count(mutant.name) != 1:
            sys.exit(f"{path}: {mutant.name}: wants one name of its own, breaks, test and in")
    return mutants


def text_of(lines, sign):
    return "".join(line[1:] + "\n" for line in lines if line[0] in (" ", sign))


class Copy:
    """The tree in a folder of its own, where it may be changed."""

    def __init__(self, folder):
        self.folder = folder
        self.original = {}  # file -> text, of what is changed now
        for part in PARTS:
            source, target = os.path.join(ROOT, part), os.path.join(folder, part)
            if os.path.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)

    def write(self, file, text):
        with open(os.path.join(self.folder, file), "w", encoding="utf-8") as out:
            out.write(text)

    def restore(self):
        for file, text in self.original.items():
            self.write(file, text)
        self.original = {}

    def apply(self, mutant):
        """All of it or nothing."""
        changed = {}
        for file, lines in mutant.changes:
            path = os.path.join(self.folder, file)
            if not os.path.exists(path):
                raise Bad(f"drifted: {file} is gone")
            if file not in changed:
                with open(path, encoding="utf-8") as source:
                    changed[file] = source.read()
            old, new = text_of(lines, "-"), text_of(lines, "+")
            times = changed[file].count(old)
            if not old or old == new or times != 1:
                raise Bad(f"drifted: its text stands {times} times in {file}, wanted once")
            changed[file] = changed[file].replace(old, new)
        for file, text in changed.items():
            with open(os.path.join(self.folder, file), encoding="utf-8") as source:
                self.original[file] = source.read()
            self.write(file, text)

    def build(self, programs):
        command = ["make", "-s", "-j2", f"VARIANT={VARIANT}", "CFLAGS=-g -O1", *programs]
        env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        built = subprocess.run(command, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, timeout=BUILD_SECONDS, check=False)
        if built.returncode:
            errors = [line for line in built.stdout.splitlines() if "error" in line or "undefined" in line]
            raise Bad(f"does not build: {(errors or ['no error told'])[0]}")


SIMULATED = {"sim": "--seeds", "sequences": "--sequences"}


def program_of(test):
    path = {"sim": "sim/sim", "sequences": "sim/sim", "unit": f"unit/{test[1]}", "conformance": f"conformance/{test[1]}"}[test[0]]
    return f"build/{VARIANT}/tests/{path}"


def complaint_in(line):
    for pattern in COMPLAINTS:
        found = pattern.match(line)
        if found:
            return found.group(1)
    return None


def run_test(copy, test, verbose):
    """The first complaint; None: it passed. Raises Bad when there is no verdict."""
    command = [program_of(test)] + ([SIMULATED[test[0]], test[1]] if test[0] in SIMULATED else [])
    process = subprocess.Popen(command, cwd=copy.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace")
    late = []
    timer = threading.Timer(TEST_SECONDS, lambda: (late.append(True), process.kill()))
    timer.start()
    last, complaint = "", None
    try:
        for line in process.stdout:
            if verbose:
                sys.stdout.write("    " + line)
            last = line.strip() or last
            complaint = complaint_in(line)
            if complaint:
                break
        else:
            process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if complaint:
        return complaint
    if late:
        raise Bad(f"no verdict in {TEST_SECONDS} s")
    if process.returncode:
        return f"{os.path.basename(command[0])} ended with {process.returncode}: {last}"
    return None


def prove_unchanged(copy, mutants, verbose):
    """The tests pass on the copy as it is; else nothing that follows means anything."""
    tests = {mutant.test for mutant in mutants if mutant.test[0] not in SIMULATED}
    for kind in SIMULATED:
        most = max((int(mutant.test[1]) for mutant in mutants if mutant.test[0] == kind), default=0)
        tests |= {(kind, str(most))} if most else set()
    began = time.monotonic()
    copy.build({program_of(test) for test in tests})
    print(f"unchanged: built in {time.monotonic() - began:.0f} s", flush=True)
    for test in sorted(tests):
        began = time.monotonic()
        complaint = run_test(copy, test, verbose)
        if complaint:
            raise Bad(f"{' '.join(test)} fails without any mutant: {complaint}")
        print(f"unchanged: {' '.join(test)} passes, {time.monotonic() - began:.1f} s", flush=True)


def try_mutant(copy, mutant, verbose):
    """The complaint that caught it."""
    copy.restore()
    copy.apply(mutant)
    copy.build([program_of(mutant.test)])
    complaint = run_test(copy, mutant.test, verbose)
    if not complaint:
        raise Bad(f"SURVIVED {' '.join(mutant.test)}")
    return complaint


def main(arguments):
    verbose = "-v" in arguments
    names = [name for name in arguments if name != "-v"]
    mutants = read_list(LIST)
    unknown = set(names) - {mutant.name for mutant in mutants}
    if unknown:
        sys.exit(f"no such mutant: {', '.join(sorted(unknown))}")
    mutants = [mutant for mutant in mutants if not names or mutant.name in names]
    passed, failed = 0, 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(folder)
        try:
            prove_unchanged(copy, mutants, verbose)
        except Bad as bad:
            print(bad)
            print("0 passed, 1 failed")
            return 1
        for mutant in mutants:
            began = time.monotonic()
            try:
                verdict = try_mutant(copy, mutant, verbose)
                passed += 1
                word = "caught"
            except (Bad, subprocess.TimeoutExpired) as bad:
                verdict, word = str(bad), "FAILED"
                failed += 1
            print(f"{word} {mutant.name}, {time.monotonic() - began:.1f} s: {verdict}", flush=True)
            if word == "FAILED":
                print(f"       it breaks: {mutant.breaks}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copy and a test that runs are cleared away
    sys.exit(main(sys.argv[1:]))
