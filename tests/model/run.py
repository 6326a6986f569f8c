#!/usr/bin/env python3
"""The models of a partition, searched by Spin: first as they are, where every property must hold, then with one deliberate
defect after the other, where the property named beside it must fail.

    run.py [NAME...]        all, or the sound searches and mutants of these names; -v prints the steps that broke a property

Every search of a sound model is exhaustive: no hashing away of states, no bound on depth that is reached, or it counts as failed.
Exit codes: 0 all as it must be; 1 not; 77 spin or a C compiler is not there. The compiler is CC, else gcc.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
CC = os.environ.get("CC", "gcc")
DEPTH_MAX = 100000
MEGABYTES_MAX = 1900  # a search that needs more has failed
SECONDS_MAX = 300     # likewise
NOBODY = 99           # as CHECK: no property of the state is looked at

# --- what is promised, in words; the name is that in the model --------------------------------------------------------

PARTITION = {
    "ONE_WRITER": "Under one fence only one owner's commits are applied.",
    "FENCE_RISES": "Whoever is given a lease gets a fence higher than every fence before it.",
    "NO_ZOMBIE": "A commit changes something only if its sender is the one to whom the lease was given last: a zombie's changes nothing.",
    "ONCE": "A commit is applied at most once, however often it is repeated and however late a copy arrives.",
    "ADMIT_ONCE": "An input is admitted once, though its publisher repeats it to whoever owns the partition.",
    "ACKED": "What a publisher is told is in the store.",
    "COMMITTED": "Nothing is published that is not committed.",
    "IN_ORDER": "A session's events leave in order and without a gap, across changes of the owner too.",
    "IDENTICAL": "An event that is published again is that of the same commit.",
    "HONEST": "Over a store that keeps what it said no partition is ever suspended.",
    "KEPT": "With one commit in flight, lost replies never cost a node its partition: the repeat is told the verdict.",
    "ROOM": "The model is large enough: no bound of its own is ever reached.",
    "ALL_DONE": "No deadlock: when nothing can move any more, every input is completed, every event published, and somebody owns the "
                "partition.",
    "SERVED": "Once nothing more goes wrong, every input is completed and the partition owned again (in every infinite run).",
}

ROLLBACK = {
    "FENCE_RISES": "Over a store that fell back, too, a fence is higher than every fence before it.",
    "ONE_WRITER": "Under one fence only one owner's commits are applied, though the store forgot that it gave it.",
    "GOES_ON": "A node commits only while the store has everything that the node was told of: else it is suspended, and says so.",
    "HEARD": "A new owner that heard of later commits, or of another history, does not commit.",
    "NOT_DROPPED": "A node never drops what it knows and the store has lost, when it looks before a second owner has followed.",
}

# --- the searches of the sound model ----------------------------------------------------------------------------------

SOUND = [
    ("one-node", "partition", {"NODES": 1, "FAULTS": 2}, "one node that may die, two sessions, two commits in flight, 2 faults"),
    ("take-over", "partition", {"NODES": 2, "FAULTS": 1}, "two nodes, two sessions, two commits in flight, 1 fault"),
    ("hand-over", "partition", {"SESSIONS": 1, "FAULTS": 2, "HANDOVERS": 1, "REPEATS": 1},
     "two nodes, one session, 2 faults, a hand-over, an input repeated after its answer"),
    ("to-and-fro", "partition", {"FAULTS": 0, "HANDOVERS": 3}, "two nodes, two sessions, two commits in flight, three hand-overs"),
    ("three-nodes", "partition", {"NODES": 3, "SESSIONS": 1, "FAULTS": 2}, "three nodes, one session, 2 faults"),
    ("more-faults", "partition", {"SESSIONS": 1, "FAULTS": 3}, "two nodes, one session, 3 faults"),
    ("in-single-file", "partition", {"IN_FLIGHT": 1, "FAULTS": 1}, "two nodes, two sessions, one commit in flight, 1 fault"),
    ("liveness", "partition", {"SESSIONS": 1, "FAULTS": 1, "HANDOVERS": 1, "LIVE": 1},
     "two nodes, one session, 1 fault, a hand-over; every infinite run"),
    ("rollback", "rollback", {"CLAIMS": 4}, "two nodes, four changes of the owner, three commits, a store that falls back once"),
]

# --- the mutants: a defect, what it is, the property that must fail, where --------------------------------------------

TWO = {"NODES": 2, "FAULTS": 1}
ONE_SESSION = {"SESSIONS": 1, "FAULTS": 3}
ONE_NODE = {"NODES": 1, "FAULTS": 2}
MUTANTS = [
    ("NO_FENCE", "a commit compares owner and incarnation, but not the fence", "NO_ZOMBIE", "partition", ONE_SESSION),
    ("FENCE_STAYS", "a claim keeps the fence that is stored", "FENCE_RISES", "partition", TWO),
    ("FENCE_STAYS", "a claim keeps the fence that is stored", "ONE_WRITER", "partition", TWO),
    ("NO_SEQUENCE", "a commit does not compare the sequence", "ONCE", "partition", TWO),
    ("PACK_ANEW", "a commit of unknown outcome is packed anew instead of repeated", "ONCE", "partition", ONE_NODE),
    ("DISSOLVE_UNSURE", "a commit of unknown outcome is dissolved when its repeat does not follow", "ONCE", "partition", ONE_NODE),
    ("OWN_FENCE_STAYS", "who claims what it gave up itself keeps its fence", "ALL_DONE", "partition", ONE_NODE),
    ("NO_DIGEST", "no digests are kept", "KEPT", "partition", {"IN_FLIGHT": 1, "FAULTS": 1}),
    ("NO_CONDITION", "an admission has no condition", "ADMIT_ONCE", "partition", TWO),
    ("ANSWER_FIRST", "an input is answered before its commit is confirmed", "ACKED", "partition", TWO),
    ("PUBLISH_FIRST", "events leave before their commit is confirmed", "COMMITTED", "partition", TWO),
    ("SKIP_TAIL", "a new owner does not publish what is behind the mark", "IN_ORDER", "partition", TWO),
    ("SKIP_TAIL", "a new owner does not publish what is behind the mark", "ALL_DONE", "partition", TWO),
    ("MARK_WITH_COMMIT", "the published mark moves with the commit itself", "IN_ORDER", "partition", TWO),
    ("MARK_PASSES_UNSURE", "the mark passes a commit of unknown outcome", "IN_ORDER", "partition", ONE_NODE),
    ("MARK_PASSES_LATE", "the mark passes a commit that was confirmed after a newer one, and whose events still wait", "IN_ORDER",
     "partition", ONE_NODE),
    ("RELEASE_EARLY", "a lease is released before all events have left", "IN_ORDER", "partition", {"SESSIONS": 1, "FAULTS": 1, "HANDOVERS": 1}),
    ("NO_SETTLE", "after a dissolved commit the sequence goes on behind the hole", "ALL_DONE", "partition", ONE_NODE),
    ("CLAIM_ONLY_RELEASED", "a lease that ran out cannot be claimed", "SERVED", "partition", {"SESSIONS": 1, "FAULTS": 1, "LIVE": 1}),
    ("TAIL_RENUMBERED", "what a new owner publishes again counts as the last commit's", "IDENTICAL", "partition", TWO),
    ("NO_BEGIN", "a claim does not note where its fence begins", "HONEST", "partition", TWO),
    ("TOO_SMALL", "the model knows one fence", "ROOM", "partition", TWO),
    ("NO_CLOCK", "a fence is the stored one plus one, whatever the clock says", "FENCE_RISES", "rollback", {}),
    ("NO_CLOCK", "a fence is the stored one plus one, whatever the clock says", "ONE_WRITER", "rollback", {}),
    ("BEHIND_GOES_ON", "a node that finds the store behind goes on from there", "GOES_ON", "rollback", {}),
    ("HEARD_IGNORED", "a new owner does not compare the store with what it heard", "HEARD", "rollback", {}),
    ("NO_BEGAN", "a node drops its memory whenever another owner has the lease", "NOT_DROPPED", "rollback", {}),
    ("SECOND_OWNER", "no defect but a limit: a second owner has followed before the node looks", "NOT_DROPPED", "rollback", {}),
]


class Result:
    """What pan said."""

    def __init__(self, text, seconds):
        number = lambda pattern: int(float(re.search(pattern, text).group(1))) if re.search(pattern, text) else 0
        self.text, self.seconds = text, seconds
        self.errors = number(r"errors: (\d+)")
        self.states = number(r"([\d.e+]+) states, stored")
        self.depth = number(r"depth reached (\d+)")
        self.megabytes = number(r"([\d.]+)\s+total actual memory usage")
        self.violated = (re.search(r"^pan:\d+: (.*)", text, re.M) or ["", ""])[1]
        self.complete = self.states > 0 and not re.search(r"Search not completed|search depth too small|reached -DMEMLIM", text)


def property_number(model, name):
    file = HERE / {"partition": "state.pml", "rollback": "rollback.pml"}[model]
    return re.search(rf"^#define {name}\s+(\d+)", file.read_text(), re.M).group(1)


def search(model, defines, optimise):
    """Builds the verifier of a model and runs it. Returns what it said, and the steps that broke a property."""
    flags = [f"-D{key}={value}" for key, value in defines.items()]
    live = "LIVE" in defines
    source = str(HERE / f"{model}.pml")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="meerkat-model-") as folder:
        def run(*argv):
            return subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX)

        for step in (["spin", *flags, "-a", source],
                     [CC, optimise, "-w", f"-DMEMLIM={MEGABYTES_MAX}", *([] if live else ["-DSAFETY"]), "-o", "pan", "pan.c"]):
            done = run(*step)
            if done.returncode != 0:
                return Result(f"{step[0]} failed:\n{done.stdout}", 0), []
        done = run("./pan", "-w22", f"-m{DEPTH_MAX}", *(["-a"] if live else []))
        result = Result(done.stdout, time.monotonic() - began)
        steps = run("spin", *flags, "-k", f"{model}.pml.trail", source).stdout.splitlines() if result.errors else []
    return result, [line.strip() for line in steps if re.match(r"\s+(store|node \d+): ", line)]


def tell(ok, text, result, steps):
    lines = [f"[{'  OK  ' if ok else 'FAILED'}] {text}"] + [f"             {step}" for step in steps]
    return ok, "\n".join(lines + ([] if result.states else [result.text]))


def sound(entry, verbose):
    name, model, defines, words = entry
    result, steps = search(model, defines, "-O1")
    ok = result.complete and result.errors == 0
    verdict = "every property holds" if ok else result.violated or "no verdict"
    return tell(ok, f"{name} ({words}): {verdict}; {result.states:,} states, depth {result.depth}, search "
                    f"{'complete' if result.complete else 'NOT COMPLETE'}, {result.megabytes:,} MB, {result.seconds:.0f} s", result, steps)


def mutant(entry, verbose):
    name, words, broken, model, defines = entry
    number = NOBODY if broken == "SERVED" else property_number(model, broken)
    result, steps = search(model, {**defines, f"MUTANT_{name}": 1, "CHECK": number}, "-O0")
    ok = result.errors > 0 and ("acceptance cycle" if broken == "SERVED" else f"({number}!=0)") in result.violated
    said = f"{broken} fails, as it must" if ok else f"{broken} DOES NOT FAIL {result.violated}"
    return tell(ok, f"{name} ({words}): {said}; {result.states:,} states, {result.seconds:.0f} s", result, steps if verbose else [])


def all_of(title, act, entries, at_once, verbose):
    """How many are as they must be, and how many are not; told in order."""
    told = []
    if entries:
        print(f"\n{title}")
    with ThreadPoolExecutor(at_once) as pool:
        for ok, text in pool.map(lambda entry: act(entry, verbose), entries):
            print(text, flush=True)
            told.append(ok)
    return told.count(True), told.count(False)


def print_properties():
    for title, properties in (("partition.pml", PARTITION), ("rollback.pml", ROLLBACK)):
        print(f"{title}:")
        for name, words in properties.items():
            print(f"  {name:<12} {words}")


def main(argv):
    missing = [tool for tool in ("spin", CC) if not shutil.which(tool)]
    if missing:
        print(f"model: {' and '.join(missing)} not found: apt-get install spin gcc")
        return 77
    names = {word for word in argv if word != "-v"}

    def chosen(entries):
        return [entry for entry in entries if not names or entry[0] in names]

    print_properties()
    sums = (all_of("As they are:", sound, chosen(SOUND), 1, False),
            all_of("With a defect:", mutant, chosen(MUTANTS), 2, "-v" in argv))
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
