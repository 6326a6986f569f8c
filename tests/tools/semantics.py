#!/usr/bin/env python3
"""Checks that docs/semantics.md keeps its word: every rule has a test that is there, or says why it has none.

    semantics.py [FILE...]      docs/semantics.md, or other files of its form

Reads the tables of which a column is called `proved by` or `test`. A rule, the cell before it, fails when
- that cell is empty, says OPEN, or only "the same";
- it names a file that does not exist, or a file and no name in it;
- a name, in backticks behind its file, is not in that file: a function (C, Python; Class.method too), a story or a function
  (tests/sim), a vector's name (.json), a mutant (tests/mutants/list), a scenario or a PREFIX* of scenarios (.jsonl.gz).
A column `mutant` names mutants of tests/mutants/list. Backticks in parentheses without a file are text, too.
A numbered section (## 5 ...) without a rule fails, too. Backticks before the first file are text. A rule without a file of
tests/ is one that gives a reason.
Last line: N passed, N failed.
"""
import functools
import gzip
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROOF = ("proved by", "test")
MUTANTS = "tests/mutants/list"
WORD = re.compile(r"`([^`]+)`|(?<![\w/.])((?:tests|docs|node|bus|codec|redis|compose)/[\w./*-]*[\w*])")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def c_names(path):
    text = read(path)
    stories = re.findall(r"\bSTORY\((?:\d+,\s*)?(\w+)\)", text)
    return set(stories) | set(re.findall(r"^(?:\w[\w \t*]*?[ \t*]|)(\w+)\([^;]*?\)\s*\{", text, re.M))


def python_names(path):
    names, owner = set(), ""
    for line in read(path).splitlines():
        match = re.match(r"(\s*)(class|def|async def) (\w+)", line)
        if not match:
            continue
        if not match[1]:
            owner = match[3] if match[2] == "class" else ""
        names.add(f"{owner}.{match[3]}" if match[1] and owner else match[3])
    return names


def scenario_names(path):
    with gzip.open(os.path.join(ROOT, path), "rt", encoding="utf-8") as file:
        return {json.loads(line)["name"] for line in file}


def vector_names(path):
    return {vector["name"] for vector in json.loads(read(path))}


def mutant_names(path):
    return set(re.findall(r"^mutant (\w+)$", read(path), re.M))


READERS = ((".jsonl.gz", scenario_names), (".json", vector_names), (".c", c_names), (".h", c_names), (".py", python_names),
           (MUTANTS, mutant_names))


@functools.lru_cache(maxsize=None)
def names_in(path):
    """What may be named in a file; None: it has no names to check."""
    for end, reader in READERS:
        if path.endswith(end):
            return frozenset(reader(path))
    return None


def is_there(name, names):
    return any(known.startswith(name[:-1]) for known in names) if name.endswith("*") else name in names


def named(cell):
    """[(file, [name...])...], in order."""
    found = []
    for name, path in WORD.findall(re.sub(r"\((?![^)]*(?:tests|docs)/)[^)]*\)", "", cell)):
        if path:
            found.append((path, []))
        elif found:
            found[-1][1].append(name)
    return found


def proofs(cell):
    return [(path, names) for path, names in named(cell) if path.startswith("tests/")]


def faults(cell):
    """What is wrong with the proof of a rule, in words."""
    if not cell or re.search(r"\bOPEN\b", cell):
        return ["it has no test" if not cell else "it is open"]
    if cell.lower() == "the same":
        return ["the same as what? name the test"]
    wrong = []
    for path, names in named(cell):
        if not os.path.isfile(os.path.join(ROOT, path)):
            wrong.append(f"{path}: no such file")
            continue
        known = names_in(path) if path.startswith("tests/") else None
        if known is None:
            continue
        if not names:
            wrong.append(f"{path}: which test?")
        wrong += [f"{path}: no {name}" for name in names if not is_there(name, known)]
    return wrong


def cells_of(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def rules(path):
    """(line number, rule, proof) of every row of the tables."""
    at = mutants = None  # columns
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.startswith("|"):
                at = None
                continue
            cells = cells_of(line)
            words = [cell.lower() for cell in cells]
            if at is None:
                at = next((words.index(word) for word in PROOF if word in words[1:]), 0)
                mutants = words.index("mutant") if "mutant" in words else None
            elif at and set(line.strip()) - set("|-: "):
                proof = cells[at] if at < len(cells) else ""
                if mutants is not None and mutants < len(cells) and "`" in cells[mutants]:
                    proof += f"; {MUTANTS} {cells[mutants]}"
                yield number, cells[at - 1], proof


def empty_sections(path, numbers):
    """(line number, head) of the numbered sections in which none of the rules at these lines stands."""
    with open(path, encoding="utf-8") as file:
        heads = [(number, line.strip()) for number, line in enumerate(file, 1) if line.startswith("## ")]
    for (number, head), (end, _) in zip(heads, heads[1:] + [(float("inf"), "")]):
        if re.match(r"## \d", head) and not any(number < rule < end for rule in numbers):
            yield number, head


def main(files):
    passed = failed = reasons = total = 0
    tests = set()
    for file in files or [os.path.join(ROOT, "docs", "semantics.md")]:
        found = list(rules(file))
        for number, head in empty_sections(file, [number for number, _, _ in found]):
            print(f"{file}:{number}: {head}\n  no rule")
            failed += 1
        for number, rule, proof in found:
            wrong = faults(proof)
            for what in wrong:
                print(f"{file}:{number}: {rule}\n  {what}")
            failed += bool(wrong)
            passed += not wrong
            reasons += not wrong and not proofs(proof)
            total += 1
            tests |= {(path, name) for path, names in proofs(proof) for name in names}
    print(f"{total} rules: {passed - reasons} proved by {len(tests)} tests in {len({path for path, _ in tests})} files,"
          f" {reasons} with a reason why not")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
