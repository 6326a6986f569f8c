#!/usr/bin/env python3
"""An executor whose runs take a while and hear what is sent meanwhile: a run says its texts one by one, one each `STEP` seconds, and a
steered input goes in between them. The result is all that was said. Frames and keys: docs/executors.md."""
import os
import select
import struct
import sys

from counter import unpack

STEP = float(os.environ.get("STEP", "0.2"))

def text(value):
    data = value.encode()
    return b"\xdb" + struct.pack(">I", len(data)) + data

def write(*pairs):
    data = bytes([0x80 + len(pairs)]) + b"".join(text(key) + value for key, value in pairs)
    sys.stdout.buffer.write(struct.pack(">I", len(data)) + data)
    sys.stdout.buffer.flush()

def read(seconds=None):
    """The next frame; None: there is none in that time. Nothing of stdin is kept in a buffer, or select would not see it."""
    if not select.select([0], [], [], seconds)[0]:
        return None
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        some = os.read(0, 4 - len(data) if len(data) < 4 else 4 + struct.unpack(">I", data[:4])[0] - len(data))
        if not some:
            sys.exit()
        data += some
    return unpack(data, 4)[0]

def execute(run):
    said, left = [], [str(each["body"]) for each in run["injected"] + run["inputs"]]
    write(("boundary", text(run["run"])), ("live", b"\xc3"))
    while left:
        said.append(left.pop(0))
        frame = read(STEP)
        if frame and frame.get("cancel") == run["run"]:
            return write(("cancelled", b"\xc3"))
        if frame and frame.get("inject") == run["run"]:
            left.insert(0, str(frame["input"]["body"]))
            write(("injected", text(frame["input"]["id"])), ("ok", b"\xc3"))
    write(("result", text(", ".join(said))))

while True:
    frame = read()
    if "run" in frame:  # else it is about one that has been answered
        execute(frame)
