#!/usr/bin/env python3
"""Writes the fuzzers' first inputs from the test vectors: DIR/codec gets messages and one record of each kind, DIR/frame gets
frames and a field of the store.

usage: make_corpus.py VECTORS DIR
"""
import glob
import hashlib
import json
import os
import sys

MESSAGE = {"v": 1, "t": "input", "id": "i-1", "session": "s1", "kind": "peer_request",
           "body": {"a": [1, None, True, b"x"]}, "visibility": {"transcript": False}}
RUN = {"id": "r1", "at": 2, "de": 1, "bo": "run_start", "in": [3, 5, 6]}
HEAD = {"v": 1, "ph": "idle", "reg": True, "att": True, "stp": True, "ex": "echo", "na": 12, "ne": 4, "tc": 1, "hz": 5,
        "cr": 1, "up": 2, "lr": "r0", "lq": 1, "b": {"rt": True, "f": 7, "g": 1, "e": "ep"}, "run": RUN}
ROW = {"v": 1, "seq": 3, "ord": 9, "ln": "steer", "ph": "queued", "at": 1, "de": 1, "rc": 1, "lr": "r", "lb": 2,
       "rp": True, "wr": True, "ad": 5, "dl": 9, "in": MESSAGE}
FACT = {"v": 1, "k": "input", "at": 5, "st": 7, "dg": 9, "in": "i", "ph": "consumed", "oc": "completed",
        "rs": "reset", "ev": 3, "tr": 1, "run": "r", "by": b"abc"}
MEMO = {"v": 1, "k": "command", "n": "c", "at": 5}
LETTER = {"v": 1, "at": 5, "seq": 3, "outcome": "abandoned_with_error", "reason": "max_attempts_exhausted",
          "error": "executor_failed", "detail": "no", "attempts": 3, "run": "r", "input": MESSAGE}


ANSWERS = [{"boundary": "r1", "live": True}, {"injected": "i-1", "ok": False},
           {"failure": {"message": "no", "kind": "budget_exhausted", "final": True}}, {"cancelled": True},
           {"state": b"s", "results": [1, None], "events": [{"name": "e", "data": {"a": 1}}]}]


def pack(value):
    """The little of msgpack that the records above need."""
    if value is None or value is True or value is False:
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return bytes([value])
    if isinstance(value, bytes):
        return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, str):
        return b"\xd9" + bytes([len(value)]) + value.encode()
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    return b"\xde" + len(value).to_bytes(2, "big") + b"".join(pack(k) + pack(v) for k, v in value.items())


def vectors(folder, key):
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as file:
            yield from (bytes.fromhex(vector[key]) for vector in json.load(file) if key in vector)


def write(folder, seeds):
    os.makedirs(folder, exist_ok=True)
    for seed in seeds:
        if len(seed) > 8192:  # long ones make every run slow
            continue
        with open(os.path.join(folder, hashlib.sha1(seed).hexdigest()), "wb") as file:
            file.write(seed)


def main():
    source, target = sys.argv[1:]
    records = [b"3,5-9|" + pack(HEAD), b"|" + pack(HEAD), pack(ROW), pack(FACT), pack(LETTER), pack(MEMO),
               pack({"items": [LETTER, {}], "next": "001f:3-1"})]
    records += map(pack, ANSWERS)
    write(os.path.join(target, "codec"), [*vectors(source, "hex"), *records])
    write(os.path.join(target, "frame"), [*vectors(source, "frame"), b"s1/i/abc"])


if __name__ == "__main__":
    main()
