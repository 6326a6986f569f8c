#!/usr/bin/env python3
"""Writes the test vectors beside it. It shares no code with the project: msgpack is packed by hand, so the vectors are a second
opinion. Run it after an addition, and commit what it wrote.

A vector: name; hex, one msgpack map; topic, where such a message is at home; valid; error, the code of the first fault; message,
the map as JSON ({"$bin": hex} for bytes). Without `canonical: false` a map that is read and packed again has the very same keys.
In frames.json: what, instead of name; frame, a whole frame in hex; and its parts."""
import json
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


def pack(value):
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        size = len(text)
        head = bytes([0xA0 | size]) if size < 32 else b"\xd9" + bytes([size]) if size < 256 else b"\xda" + struct.pack(">H", size)
        return head + text
    if isinstance(value, list):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + struct.pack(">H", len(value))
        return head + b"".join(pack(item) for item in value)
    if set(value) == {"$bin"}:
        data = bytes.fromhex(value["$bin"])
        return b"\xc4" + bytes([len(data)]) + data
    head = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H", len(value))
    return head + b"".join(pack(key) + pack(item) for key, item in value.items())


def pack_int(value):
    if 0 <= value < 128:
        return bytes([value])
    if -32 <= value < 0:
        return struct.pack(">b", value)
    for code, form, least, most in ((0xCC, ">B", 0, 1 << 8), (0xCD, ">H", 0, 1 << 16), (0xCE, ">I", 0, 1 << 32),
                                    (0xCF, ">Q", 0, 1 << 64), (0xD0, ">b", -(1 << 7), 0), (0xD1, ">h", -(1 << 15), 0),
                                    (0xD2, ">i", -(1 << 31), 0), (0xD3, ">q", -(1 << 63), 0)):
        if least <= value < most:
            return bytes([code]) + struct.pack(form, value)
    raise ValueError(value)


def good(name, message, topic, **more):
    return {"name": name, "topic": topic, "hex": pack(message).hex(), "valid": True, "message": message, **more}


def wide(name, message, topic, hexed):
    return {"name": name, "topic": topic, "hex": hexed.hex(), "valid": True, "message": message, "canonical": False}


def bad(name, error, message, topic="in/0f2a/s1"):
    data = message if isinstance(message, bytes) else pack(message)
    return {"name": name, "topic": topic, "hex": data.hex(), "valid": False, "error": error}


def head(t, id="m-1", **more):
    return {"v": 1, "t": t, "id": id, "ts": 1700000000000, **more}


def crc16(text):
    crc = 0
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def at(session, topic="in"):
    return "%s/%04x/%s" % (topic, crc16(session) % 256, session)


def inputs():
    least = {"v": 1, "t": "input", "id": "i-1", "session": "s1"}
    deep = 1
    for _ in range(31):
        deep = [deep]
    full = head("input", "i-2", pub="p-1", pe=3, ps=7, session="room.7:a_b-c", kind="peer_request", body={"ask": [1, -1, None]},
                durability="ephemeral", origin="peer", handling="steer", idem="key-1", supersede="sup-1", corr="corr-1",
                after="i-1", reply_to="cli-1", executor="counter", born=1699999999000, deadline_ms=60000, wake=False,
                visibility={"transcript": False, "operator": True}, peer_id="8c5b2f0e-8a0e-4b64-9d0a-6f4e3c2b1a09",
                peer_name="other agent", request_id="0f0e0d0c-0b0a-0908-0706-050403020100", intent="review")
    event = head("input", session="s1", kind="external_event", handling="queue", event_type="door_opened", body="front")
    return [
        good("the least an input can be", least, at("s1")),
        good("a prompt with an integer body, asking for an answer", head("input", session="s1", body=5, reply_to="cli-1"), at("s1")),
        good("every common key", full, at("room.7:a_b-c")),
        good("a terminal peer response", head("input", session="s1", kind="peer_response_terminal", origin="peer",
             status="completed", peer_id="8c5b2f0e8a0e4b649d0a6f4e3c2b1a09", peer_name="other",
             request_id="0f0e0d0c0b0a09080706050403020100", body={"answer": 42}), at("s1")),
        good("a progress response", head("input", session="s1", kind="peer_response_progress", origin="peer", status="accepted",
             request_id="r-1", supersede="r-1"), at("s1")),
        good("a flow step", head("input", session="s1", kind="flow_step", origin="flow", step_id="step-3", body=[1, 2]), at("s1")),
        good("an external event with its mode", event, at("s1")),
        good("an external event without a mode is queued", {k: event[k] for k in event if k != "handling"}, at("s1"),
             canonical=False),
        good("a continuation", head("input", session="s1", kind="continuation", handling="queue", origin="system",
             continuation="workgraph_attention", request_id="r-1"), at("s1")),
        good("an operation", head("input", session="s1", kind="operation", durability="derived", origin="system",
             operation_id="op-1"), at("s1")),
        good("a nil durability is read, and refused at admission", head("input", session="s1", durability=None), at("s1")),
        good("a body of bytes", head("input", session="s1", body={"$bin": "00ff10"}), at("s1")),
        good("a body that is 31 deep", head("input", session="s1", body=deep), at("s1")),
        good("a body with a float", head("input", session="s1", body=[1.5, -0.25]), at("s1")),
        good("a session id of 128 bytes", head("input", session="s" * 128), at("s" * 128)),
        good("an id of 64 bytes", head("input", "i" * 64, session="s1"), at("s1")),
        good("keys that are not known are ignored", head("input", session="s1", colour="red", later={"x": [1]}), at("s1"),
             canonical=False),
        good("nil stands for an absent key", head("input", session="s1", kind=None, idem=None, wake=None), at("s1"),
             canonical=False),
        wide("integers, strings and maps in their widest forms", least | {"ts": 5}, at("s1"),
             b"\xdf\0\0\0\5" + b"\xdb\0\0\0\1v" + b"\xcf" + struct.pack(">Q", 1) + pack("t") + b"\xda\0\5input" + pack("id") +
             b"\xd9\3i-1" + pack("ts") + b"\xd3" + struct.pack(">q", 5) + pack("session") + pack("s1")),
    ]


def commands():
    return [
        good("the least a command can be", head("command", session="s1", op="state", args={}), at("s1", "ctl")),
        good("a withdrawal", head("command", session="s1", op="withdraw", reply_to="cli-1", args={"id": "i-1"}), at("s1", "ctl")),
        good("an interrupt of one run", head("command", session="s1", op="interrupt", run="r-1", deadline_ms=5000, args={}),
             at("s1", "ctl")),
        good("a repeated command", head("command", session="s1", op="retire", reply_to="cli-1", born=1699999999000, args={}),
             at("s1", "ctl")),
        good("a page of events", head("command", session="s1", op="events", reply_to="cli-1", args={"from": 17, "limit": 100}),
             at("s1", "ctl")),
        good("dead letters of a session", head("command", session="s1", op="dead", reply_to="cli-1",
             args={"cursor": "0078:19-2", "limit": 50}), at("s1", "ctl")),
        good("one dead letter of a node", head("command", op="dead", reply_to="cli-1", args={"id": "i-1"}), "node/n1"),
        good("silent intents", head("command", session="s1", op="silent_intents", args={"intents": ["review", "ping"]}),
             at("s1", "ctl")),
        good("a receipt", head("command", session="s1", op="receipt", args={"run": "r-1", "sequence": 2}), at("s1", "ctl")),
        good("a transcript edit", head("command", session="s1", op="transcript_edit", args={"running": True, "active_inputs": True}),
             at("s1", "ctl")),
        good("an input through the control plane", head("command", session="s1", op="ingest", reply_to="cli-1", args={
            "input": head("input", "i-1", session="s1", body={"ask": [1, None]}, idem="key-1")}), at("s1", "ctl")),
        good("a turn of a service", head("command", session="s1", op="start_conversation_run", args={"run": "r-1",
             "timeout_ms": 5000}), at("s1", "ctl")),
        good("its end", head("command", session="s1", op="commit_service_turn_terminal_receipt", args={"run": "r-1"}),
             at("s1", "ctl")),
        good("an operation by its longer name", head("command", session="s1", op="hard_cancel_current_run", args={"run": "r-1"}),
             at("s1", "ctl")),
        good("why it waits", head("command", session="s1", op="why", reply_to="cli-1", args={}), at("s1", "ctl")),
        good("a command of a node", head("command", op="node_state", reply_to="cli-1", args={"incarnation": "abc"}), "node/n1"),
        good("an operation that is not known is read, and answered unknown_op", head("command", session="s1", op="dance", args={}),
             at("s1", "ctl")),
        good("args may be absent", head("command", session="s1", op="wake"), at("s1", "ctl"), canonical=False),
    ]


def admissions():
    common = {"session": "s1"}
    done = head("completion", "c-1", re="i-1", session="s1", input="i-1", outcome="completed", result=5, seq=4, node="n1",
                fence=1700000000000001, generation=1, epoch="e-1")
    return [
        good("accepted", head("admission", re="i-1", **common, outcome="accepted", durability="durable", phase="queued", node="n1",
             fence=1700000000000001), "re/cli-1"),
        good("deduplicated, not yet terminal", head("admission", re="i-9", **common, outcome="deduplicated", existing="i-1",
             durability="durable", phase="staged", node="n1", fence=1), "re/cli-1"),
        good("deduplicated, with the completion", head("admission", re="i-1", **common, outcome="deduplicated", existing="i-1",
             completion=done, durability="durable", phase="consumed", node="n1", fence=1), "re/cli-1"),
        good("rejected, not for good", head("admission", re="i-1", **common, outcome="rejected", final=False, reason="not_ready",
             detail="the session's phase does not allow it", durability="durable", phase="retired", node="n1", fence=1), "re/cli-1"),
        good("rejected by the wrong partition", head("admission", re="i-1", outcome="rejected", final=True, reason="wrong_partition",
             detail="this cluster has 16 partitions", durability="durable", partitions=16, node="n1", fence=1), "re/cli-1"),
    ]


def completions():
    def of(outcome, **more):
        return head("completion", "c-1", re="i-1", session="s1", input="i-1", outcome=outcome, **more, seq=4, node="n1",
                    fence=1700000000000001, generation=1, epoch="e-1")
    receipt = {"run": "r-1", "sequence": 0, "boundary": "run_start", "digest": "d41d"}
    gone = {"kind": "executor_failed", "message": "it said no"}
    return [
        good("completed", of("completed", result={"value": 5}, run="r-1", receipt=receipt), "ev/s1"),
        good("completed with nil", of("completed", result=None, run="r-1"), "ev/s1"),
        good("completed without result", of("completed_without_result"), "ev/s1"),
        good("abandoned with an error", of("abandoned_with_error", reason="max_attempts_exhausted", error=gone), "ev/s1"),
        good("cancelled", of("cancelled", reason="withdrawn"), "ev/s1"),
        good("terminated", of("runtime_terminated", reason="runtime reset"), "re/cli-1"),
        good("coalesced into another", of("coalesced", aggregate="i-2"), "ev/s1"),
    ]


def effects():
    def of(name, data):
        return head("effect", "e-1", session="s1", name=name, data=data, seq=3, node="n1", fence=1700000000000001, generation=1,
                    epoch="e-1")
    return [
        good("bound", of("runtime_bound", {"runtime": "rt:session:s1", "fence": 1700000000000001, "generation": 1, "epoch": "e-1"}),
             "ev/s1"),
        good("run started", of("run_started", {"run": "r-1", "attempt": 1, "boundary": "run_start", "inputs": ["i-1"]}), "ev/s1"),
        good("run failed", of("run_failed", {"run": "r-1", "attempt": 1, "error": {"kind": "executor_failed", "message": "no"},
             "will_retry": True}), "ev/s1"),
        good("retired", of("runtime_retired", {"reason": "done"}), "ev/s1"),
        good("destroyed", of("runtime_destroyed", {}), "ev/s1"),
        good("a notice", of("runtime_notice", {"notice": "reset"}), "ev/s1"),
        good("an ingress notice", of("ingress_notice", {"kind": "mail"}), "ev/s1"),
        good("an executor's own event", of("lamp_lit", [True, 2.5]), "ev/s1"),
    ]


def results():
    refused = {"code": "not_ready", "message": "the session's phase does not allow it", "final": False, "phase": "retired"}
    letter = {"v": 1, "at": 1700000000009, "seq": 4, "outcome": "abandoned_with_error", "reason": "max_attempts_exhausted",
              "error": "executor_failed", "detail": "no", "attempts": 3, "run": "r-1",
              "input": head("input", "i-1", session="s1", body={"die": True}, executor="fail")}
    return [
        good("success with data", head("result", re="c-1", session="s1", ok=True, data={"phase": "idle"}, node="n1", fence=1), "re/cli-1"),
        good("success without data", head("result", re="c-1", ok=True), "re/cli-1"),
        good("a refusal", head("result", re="c-1", session="s1", ok=False, error=refused, node="n1", fence=1), "re/cli-1"),
        good("a page of dead letters", head("result", re="c-1", session="s1", ok=True, data={"items": [letter], "next": "0078:19-2"},
             node="n1", fence=1), "re/cli-1"),
        good("a page of events", head("result", re="c-1", session="s1", ok=True, data={"items": [], "head": 4, "first": 1,
             "truncated": False}), "re/cli-1"),
    ]


# What is wrong with a heartbeat, and its keys.
BEATS = {
    "handing is an array": {"handing": []},
    "handing names no partition": {"handing": {"1": ["n2", False, 5]}},
    "handing is in upper case": {"handing": {"00AF": ["n2", False, 5]}},
    "handing lacks the fence": {"handing": {"0001": ["n2", False]}},
    "handing has something more": {"handing": {"0001": ["n2", False, 5, 6]}},
    "handing goes to a number": {"handing": {"0001": [2, False, 5]}},
    "handing goes to a name of 65 bytes": {"handing": {"0001": ["n" * 65, False, 5]}},
    "handing is released in words": {"handing": {"0001": ["n2", "no", 5]}},
    "handing has a negative fence": {"handing": {"0001": ["n2", True, -1]}},
    "second handing is wrong": {"handing": {"0001": ["n2", True, 5], "0002": None}},
    "expecting is a map": {"expecting": {}},
    "expecting holds a text": {"expecting": [1, "0002"]},
    "expecting holds 65536": {"expecting": [65536]},
    "suspended is a number": {"suspended": 3},
    "suspended holds a negative number": {"suspended": [-1]},
}


def heartbeats():
    return [
        good("a node", head("heartbeat", role="node", node="n1", incarnation="abc", phase="working", partitions_total=256,
             owned={"0000": ["h-1", 1700000000000001, 12], "00ff": ["h-1", 1700000000000002, 0]}, sessions=3, load=1), "hb/n1"),
        good("a node that owns nothing", head("heartbeat", role="node", node="n1", incarnation="abc", phase="draining",
             partitions_total=16, owned={}, sessions=0, load=0), "hb/n1"),
        good("a node that hands over, expects and holds what it cannot work on", head(
            "heartbeat", role="node", node="n1", incarnation="abc", phase="draining", partitions_total=256,
            owned={"0001": ["h-1", 1700000000000001, 12], "0003": ["h-1", 1700000000000003, 4]},
            handing={"0001": ["n2", False, 1700000000000001], "0002": ["n3", True, 1700000000000002]},
            expecting=[4, 255], suspended=[3], sessions=3, load=0), "hb/n1"),
        good("a node that gives a partition to nobody in particular", head(
            "heartbeat", role="node", node="n1", incarnation="abc", phase="deaf", partitions_total=16, owned={},
            handing={"000f": ["", True, 1]}, sessions=0, load=0), "hb/n1"),
        wide("partitions in the widest integers", head(
            "heartbeat", role="node", node="n1", expecting=[7], suspended=[8]), "hb/n1",
             pack(head("heartbeat", role="node", node="n1", expecting="EXPECTING", suspended="SUSPENDED"))
             .replace(pack("EXPECTING"), b"\x91\xcf" + (7).to_bytes(8, "big"))
             .replace(pack("SUSPENDED"), b"\xdd\x00\x00\x00\x01\xd3" + (8).to_bytes(8, "big"))),
        good("a hub", head("heartbeat", role="hub", node="h1", incarnation="abc", phase="working", frames_in=10, frames_out=20,
             dropped=0, bytes_in=4096), "hb/h1"),
    ]


def batches():
    one, two = ({"v": 1, "t": "input", "id": i, "session": s} for i, s in (("i-1", "s1"), ("i-2", "s2")))
    return [
        good("two inputs of two partitions", head("batch", pub="p-1", pe=1, ps=1, items=[one, two]), "in/*/*"),
        good("no items", head("batch", items=[]), "ev/*"),
        good("an item that is no message fails alone", head("batch", items=[5, one]), "in/*/*"),
    ]


def invalid():
    ok = {"v": 1, "t": "input", "id": "i-1", "session": "s1"}

    def but(**more):
        return ok | more

    def without(key):
        return {k: ok[k] for k in ok if k != key}
    start = b"\x84" + pack("v") + b"\1" + pack("t") + pack("input") + pack("id") + pack("i-1")
    nested = b"\x85" + pack(ok)[1:] + pack("body")
    return [
        bad("an array", "malformed", pack([1])),
        bad("a map that ends too early", "malformed", pack(ok)[:-1]),
        bad("a byte behind the map", "malformed", pack(ok) + b"\0"),
        bad("the reserved byte 0xc1", "malformed", start + pack("body") + b"\xc1"),
        bad("an array of four thousand million items in six bytes", "malformed", b"\x81\xdd\xff\xff\xff\xff"),
        bad("a map of four thousand million keys", "malformed", b"\xdf\xff\xff\xff\xff\xc0"),
        bad("a string longer than the frame", "malformed", start + b"\xdb\xff\xff\xff\xffab\xc0"),
        bad("a key twice", "malformed", b"\x85" + pack(ok)[1:] + pack("id") + pack("i-2")),
        bad("a key twice, once in a wider form", "malformed", b"\x85" + pack(ok)[1:] + b"\xd9\2id" + pack("i-2")),
        bad("a key twice within the body", "malformed", nested + b"\x82" + pack("a") + b"\1" + pack("a") + b"\2"),
        bad("a body that is 32 deep", "too_large", nested + b"\x91" * 32 + b"\1"),
        bad("a body that is 60 deep", "too_large", nested + b"\x91" * 60 + b"\1"),
        bad("4,097 keys in one map", "too_large", nested + b"\xde\x10\x01" + b"".join(pack(i) + b"\xc0" for i in range(4097))),
        bad("no v", "missing_field", without("v")),
        bad("no t", "missing_field", without("t")),
        bad("no id", "missing_field", without("id")),
        bad("no session", "missing_field", without("session")),
        bad("a session that is nil", "missing_field", but(session=None)),
        bad("version 2", "unsupported_version", but(v=2)),
        bad("version 2 with another form of id", "unsupported_version", but(v=2, id=7)),
        bad("an unknown type", "unknown_type", but(t="poem")),
        bad("a type that is a number", "invalid_field", but(t=4)),
        bad("a version that is text", "invalid_field", but(v="1")),
        bad("an id that is a number", "invalid_field", but(id=4)),
        bad("an empty id", "invalid_field", but(id="")),
        bad("an id of 65 bytes", "too_large", but(id="i" * 65)),
        bad("a session with a slash", "invalid_field", but(session="a/b")),
        bad("an empty session", "invalid_field", but(session="")),
        bad("a session of 129 bytes", "invalid_field", but(session="s" * 129)),
        bad("a negative time", "invalid_field", but(ts=-1)),
        bad("a time with a fraction", "invalid_field", but(ts=1.5)),
        bad("an unknown kind", "invalid_field", but(kind="song")),
        bad("an unknown handling", "invalid_field", but(handling="jump")),
        bad("an unknown origin", "invalid_field", but(origin="moon")),
        bad("an unknown durability", "invalid_field", but(durability="maybe")),
        bad("the word missing as a durability", "invalid_field", but(durability="missing")),
        bad("a wake that is a number", "invalid_field", but(wake=1)),
        bad("a deadline beyond 2^52", "invalid_field", but(deadline_ms=(1 << 52) + 1)),
        bad("a reply address with a star", "invalid_field", but(reply_to="*")),
        bad("an idempotency key of 65 bytes", "too_large", but(idem="k" * 65)),
        bad("a visibility that is no map", "invalid_field", but(visibility=True)),
        bad("a command without op", "missing_field", but(t="command"), at("s1", "ctl")),
        bad("args that are no map", "invalid_field", but(t="command", op="state", args=[1]), at("s1", "ctl")),
        bad("an intent that is no text", "invalid_field", but(t="command", op="silent_intents", args={"intents": [1]}), at("s1", "ctl")),
        bad("65 intents", "invalid_field", but(t="command", op="silent_intents", args={"intents": ["x"] * 65}), at("s1", "ctl")),
        bad("an ingested input without kind of message", "missing_field", but(t="command", op="ingest",
            args={"input": {"v": 1, "id": "i-1", "session": "s1"}}), at("s1", "ctl")),
        bad("an ingested command", "invalid_field", but(t="command", op="ingest", args={"input": but(t="command", op="state")}),
            at("s1", "ctl")),
        bad("an ingested input of an unknown kind", "invalid_field", but(t="command", op="ingest", args={"input": but(kind="song")}),
            at("s1", "ctl")),
        bad("an ingested text", "malformed", but(t="command", op="ingest", args={"input": "hello"}), at("s1", "ctl")),
        bad("a batch without items", "missing_field", but(t="batch"), "in/*/*"),
        bad("a batch whose items are a map", "invalid_field", but(t="batch", items={}), "in/*/*"),
        bad("a batch of 4,097 items", "too_large", but(t="batch", items=[None] * 4097), "in/*/*"),
        bad("an admission without outcome", "missing_field", but(t="admission", re="i-1"), "re/cli-1"),
        bad("a completion with an unknown outcome", "invalid_field", but(t="completion", re="i-1", outcome="glad"), "ev/s1"),
        bad("an effect without name", "missing_field", but(t="effect"), "ev/s1"),
        bad("a result whose ok is a number", "invalid_field", but(t="result", re="c-1", ok=1), "re/cli-1"),
        bad("a heartbeat of an unknown role", "invalid_field", without("session") | {"t": "heartbeat", "role": "king", "node": "n"}, "hb/n"),
        bad("a heartbeat whose owned is an array", "invalid_field",
            without("session") | {"t": "heartbeat", "role": "node", "node": "n", "owned": []}, "hb/n"),
        *(bad("a heartbeat whose " + what, "invalid_field", without("session") | {"t": "heartbeat", "role": "node", "node": "n", **keys},
              "hb/n") for what, keys in BEATS.items()),
    ]


def frames():
    body = pack({"v": 1, "t": "input", "id": "i-1", "session": "s1"})

    def frame(what, topic, valid=True, **parts):
        data = topic.encode() + b"\0" + body
        return {"what": what, "frame": data.hex(), "valid": valid, **(parts or {"error": "malformed"})}
    long = "s" * 128
    return [
        frame("a session's input", at("s1"), **{"class": "in", "partition": crc16("s1") % 256, "session": "s1"}),
        frame("a session id of 128 bytes", at(long, "ctl"), **{"class": "ctl", "partition": crc16(long) % 256, "session": long}),
        frame("the partition of 123456789 among 65536", "in/31c3/123456789",
              **{"class": "in", "partition": 0x31C3, "session": "123456789"}),
        frame("a batch of one partition", "in/00ff/*", **{"class": "in", "partition": 255, "session": "*"}),
        frame("a batch of many partitions", "in/*/*", **{"class": "in", "partition": "*", "session": "*"}),
        frame("every node", "node/*", **{"class": "node", "name": "*"}),
        frame("one client", "re/cli-1", **{"class": "re", "name": "cli-1"}),
        frame("events", "ev/s1", **{"class": "ev", "name": "s1"}),
        frame("a heartbeat", "hb/n1", **{"class": "hb", "name": "n1"}),
        {"what": "no zero byte", "frame": b"in/00ff/s1".hex(), "valid": False, "error": "malformed"},
        {"what": "nothing behind the topic", "frame": b"in/00ff/s1\0".hex(), "valid": False, "error": "malformed"},
        {"what": "nothing at all", "frame": "", "valid": False, "error": "malformed"},
        {"what": "a topic of 161 bytes", "frame": (b"x" * 161 + b"\0" + body).hex(), "valid": False, "error": "malformed"},
        frame("an unknown class", "out/00ff/s1", False),
        frame("an empty topic", "", False),
        frame("upper-case digits", "in/00FF/s1", False),
        frame("three digits", "in/0ff/s1", False),
        frame("five digits", "in/000ff/s1", False),
        frame("no session", "in/00ff/", False),
        frame("no name", "in/00ff", False),
        frame("a star for the partition alone", "in/*/s1", False),
        frame("a session of 129 bytes", "ev/" + "s" * 129, False),
        frame("a client of 65 bytes", "re/" + "c" * 65, False),
        frame("a star for a client", "re/*", False),
        frame("a part too many", "ev/s1/x", False),
        frame("a space", "ev/s 1", False),
    ]


def main():
    files = {"input": inputs, "command": commands, "admission": admissions, "completion": completions, "effect": effects,
             "result": results, "heartbeat": heartbeats, "batch": batches, "invalid": invalid, "frames": frames}
    for name, make in files.items():
        with open(os.path.join(HERE, name + ".json"), "w") as out:
            lines = ",\n".join(json.dumps(vector) for vector in make())
            out.write("[\n" + lines + "\n]\n")


if __name__ == "__main__":
    main()
