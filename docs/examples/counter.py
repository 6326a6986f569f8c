#!/usr/bin/env python3
"""An executor that adds up what a session is sent. Frames and keys: docs/executors.md. All of msgpack that it takes is here."""
import struct
import sys

NUMBERS = dict(zip(range(0xCA, 0xD4), ">f >d >B >H >I >Q >b >h >i >q".split()))
LENGTHS = dict(zip((0xC4, 0xC5, 0xC6, *range(0xD9, 0xE0)), ">B >H >I >B >H >I >H >I >H >I".split()))

def unpack(data, at=0):
    """The value at `at`, and where it ends."""
    byte, at = data[at], at + 1
    if byte < 0x80 or byte >= 0xE0:  # a small integer
        return byte - 256 * (byte >= 0xE0), at
    if byte in (0xC0, 0xC2, 0xC3):
        return (None, None, False, True)[byte - 0xC0], at
    form = NUMBERS.get(byte) or LENGTHS.get(byte, "")
    n = struct.unpack_from(form, data, at)[0] if form else byte & (0x1F if byte >= 0xA0 else 0x0F)
    at += struct.calcsize(form)
    if byte in NUMBERS:
        return n, at
    if 0xA0 <= byte < 0xDC:  # strings and bytes
        return (data[at:at + n] if 0xC4 <= byte <= 0xC6 else data[at:at + n].decode()), at + n
    items, is_map = [], byte < 0x90 or byte >= 0xDE
    for _ in range(2 * n if is_map else n):
        item, at = unpack(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if is_map else items), at

if __name__ == "__main__":
    while head := sys.stdin.buffer.read(4):
        run = unpack(sys.stdin.buffer.read(struct.unpack(">I", head)[0]))[0]
        if "run" not in run:  # about one that has been answered
            continue
        total, results = int.from_bytes(run["state"] or b"", "big", signed=True), b""
        for each in run["inputs"]:
            total += each["body"] if type(each["body"]) is int else 1
            results += b"\x81\xa5value\xd3" + struct.pack(">q", total)
        count = struct.pack(">H", len(run["inputs"]))
        head = b"\x82\xa5state\xc4\x08%b\xa7results\xdc%b" % (struct.pack(">q", total), count)
        sys.stdout.buffer.write(struct.pack(">I", len(head + results)) + head + results)
        sys.stdout.buffer.flush()
