#!/usr/bin/env python3
"""The session machine's table and its diagram in docs/, made of what `meerkat-node --print-machine` prints.

    machine_docs.py NODE           writes the table into docs/machine.md and draws docs/machine.svg (wants Graphviz' dot)
    machine_docs.py NODE --check   says whether both agree with the program; wants no dot

The drawing carries the digest of what it was drawn from: a check needs no second drawing. Exit codes: 0, 1 when they do
not agree, 77 when there is no dot (the table is written then).
"""
import hashlib
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "machine.md")
DRAWING = os.path.join(ROOT, "docs", "machine.svg")
WORDS = os.path.join(ROOT, "node", "core", "machine_rows.h")
BEGIN, END = "<!-- made by `make docs` from the table -->", "<!-- end of what is made -->"
COLUMNS = ["input", "from", "guards", "effects", "to", "updates"]
PHASES = ["Initializing", "Idle", "Attached", "Running", "Retired", "Stopped", "Destroyed"]
RUNS_BEGIN_IN = ["Idle", "Attached", "Retired"]  # what pre_run may be
MANY = 4  # an input that leads from so many phases to one is drawn once


def read_rows(node):
    out = subprocess.run([node, "--print-machine"], stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout
    lines = [line.split("\t") for line in out.splitlines()]
    if lines[0] != COLUMNS or any(len(line) != len(COLUMNS) for line in lines):
        sys.exit(f"{node} --print-machine: the columns are not {' '.join(COLUMNS)}")
    rows = [dict(zip(COLUMNS, line)) for line in lines[1:]]
    return [{**row, "from": row["from"].split(",")} for row in rows]


# --- the page ---


def listed(text):
    return "" if text == "-" else text.replace(",", ", ")


def table(rows):
    lines = ["| input | from | guards | updates | to | effects |", "|---|---|---|---|---|---|"]
    for row in rows:
        cells = [row["input"], ", ".join(row["from"]), listed(row["guards"]), listed(row["updates"]), row["to"], listed(row["effects"])]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def read_words(name):
    """The words of one list of machine_rows.h with what they mean."""
    with open(WORDS, encoding="utf-8") as file:
        text = file.read().split(f"#define {name}(X)")[1].split("\n\n")[0]
    return re.findall(r"X\((\w+)\)\s*/\* (.*?) \*/", text)


def words(title, name):
    return [f"| {title} | |", "|---|---|"] + [f"| {word} | {meaning} |" for word, meaning in read_words(name)]


def stays(rows):
    lines = ["| phase | inputs that leave it there |", "|---|---|"]
    for phase in PHASES:
        inputs = [row["input"] for row in rows if row["to"] == "=" and phase in row["from"]]
        lines.append(f"| {phase} | {', '.join(dict.fromkeys(inputs)) or 'none'} |")
    return lines


def made(rows):
    parts = [table(rows), words("guard", "MACHINE_GUARDS"), words("update", "MACHINE_UPDATES"), stays(rows)]
    return "\n\n".join("\n".join(part) for part in parts)


def with_made(page, rows):
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{made(rows)}\n\n{END}{after}"


# --- the drawing ---


def moves(rows):
    """(from, to) -> inputs, of what leads elsewhere. An input that leads from many phases to one has them all as `from`."""
    found = {}
    for row in rows:
        targets = RUNS_BEGIN_IN if row["to"] == "pre_run" else [row["to"]]
        for to in targets:
            sources = [phase for phase in row["from"] if phase != to]
            if to in ("=", "given"):
                continue
            if len(row["from"]) >= MANY:
                sources = [", ".join(row["from"])]
            for source in sources:
                inputs = found.setdefault((source, to), [])
                if row["input"] not in inputs:
                    inputs.append(row["input"])
    return found


def dot_text(rows):
    lines = ["digraph machine {", "rankdir=TB; nodesep=0.7; ranksep=0.75; pad=0.2;",
             'node [fontname="Helvetica", fontsize=13, shape=box, style="rounded,filled", fillcolor="#eef3fa", color="#35507a"];',
             'edge [fontname="Helvetica", fontsize=10, color="#35507a", fontcolor="#20304a", arrowsize=0.7];']
    lines += [f'"{phase}" [width=1.4, height=0.45];' for phase in PHASES]
    lines.append('"Destroyed" [peripheries=2];')
    lines.append('"Running" [label="Running\\n(over pre_run)"];')
    restored = [row for row in rows if row["to"] == "given"]
    if restored:
        lines.append('"given" [label="the phase that is\\nrestored", shape=plaintext, style="", fontsize=11];')
        names = "\\n".join(dict.fromkeys(row["input"] for row in restored))
        lines.append(f'"Initializing" -> "given" [label="{names}", style=dashed];')
    for (source, to), inputs in moves(rows).items():
        if "," in source:
            shown = "any other phase" if set(source.split(", ")) | {to} == set(PHASES) else source.replace(", ", ",\\n")
            lines.append(f'"{source}" [label="{shown}", shape=plaintext, style="", fontsize=11];')
        names = "\\l".join(inputs)
        lines.append(f'"{source}" -> "{to}" [label="{names}\\l"];')
    return "\n".join(lines) + "\n}\n"


def mark(text):
    return f"<!-- of {hashlib.sha256(text.encode()).hexdigest()} -->"


def draw(text):
    try:
        drawn = subprocess.run(["dot", "-Tsvg"], input=text, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        print("machine_docs: docs/machine.svg is not drawn: dot is missing (Debian: graphviz)", file=sys.stderr)
        sys.exit(77)
    drawn = re.sub(r"<!-- Generated by graphviz.*?-->\n?", "", drawn, flags=re.S)  # names its version
    with open(DRAWING, "w", encoding="utf-8") as file:
        file.write(drawn.rstrip("\n") + "\n" + mark(text) + "\n")


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def main(arguments):
    if not arguments or arguments[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    rows = read_rows(arguments[0])
    page, text = read(PAGE), dot_text(rows)
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"docs/machine.md wants one line `{BEGIN}` and one `{END}`")
    if arguments[1:]:
        old = ["docs/machine.md"] * (with_made(page, rows) != page) + ["docs/machine.svg"] * (mark(text) not in read(DRAWING))
        if old:
            sys.exit(f"{' and '.join(old)} do not agree with the machine's table: run `make docs`")
        return
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(with_made(page, rows))
    draw(text)


if __name__ == "__main__":
    main(sys.argv[1:])
