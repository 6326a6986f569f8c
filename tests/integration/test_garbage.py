"""Bytes from nowhere: nothing of it may end a program, change a state or go uncounted."""
import random
import socket

from harness import Lab, wait_until
from load import Load
from wire import PUB, SUB, Pipe, pack


def hurl(url, *pieces):
    """Raw bytes at a TCP port; the other side may end the connection at any time."""
    host, port = url.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
        except OSError:
            pass


def good(client):
    """A frame that would be taken, to be spoilt."""
    return f"in/{client.partition('s1'):04x}/s1".encode(), client.input("s1", "x")


def bad_frames(client, chance):
    topic, message = good(client)
    body = pack(message)
    yield b""
    yield b"\0"
    yield topic
    yield topic + b"\0"
    yield topic + b"\0" + body[:-1]
    yield topic + b"\0" + body + b"\0"
    yield topic + b"\0" + pack([1, 2, 3])
    yield topic + b"\0" + b"\x91" * 200 + b"\xc0"
    yield topic + b"\0" + b"\xdf\xff\xff\xff\xff"
    yield topic + b"\0" + b"\xdd\xff\xff\xff\xff"
    yield topic + b"\0" + b"\x82\xa1v\x01\xa1v\x01"
    yield b"in/zzzz/s1\0" + body
    yield b"in/0001/a b\0" + body
    yield b"in/0001/" + b"s" * 129 + b"\0" + body
    yield b"nonsense/s1\0" + body
    for key, value in (("v", 9), ("t", "wish"), ("t", 7), ("id", ""), ("id", "x" * 65), ("session", ""), ("session", None),
                       ("kind", "wish"), ("handling", 3), ("durability", "forever"), ("deadline_ms", -1), ("born", "today")):
        yield topic + b"\0" + pack({**message, key: value})
    for missing in ("v", "t", "id", "session"):
        yield topic + b"\0" + pack({k: v for k, v in message.items() if k != missing})
    yield b"in/*/*\0" + pack({"v": 1, "t": "batch", "id": "b", "ts": 1, "items": [1, "x", {}, {"v": 1, "t": "batch", "items": []}]})
    for _ in range(200):
        spoilt = bytearray(topic + b"\0" + body)
        for _ in range(chance.randrange(1, 5)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        # One that stayed well-formed would be taken, and rightly: cut it off.
        yield bytes(spoilt[:chance.randrange(len(spoilt))])


def test_bad_frames_are_counted_and_change_nothing():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        assert client.ask(client.input("s1", 1, executor="counter"), "completion")["result"] == {"value": 1}
        events, before = client.replay("s1"), lab.n.http("/metrics")[1]
        sent = 0
        for frame in bad_frames(client, random.Random(1)):
            client.publish_frame(frame)
            sent += 1
        after = client.ask(client.input("s1", 1, executor="counter"), "completion")
        assert after["result"] == {"value": 2}, after
        assert [e for e in client.replay("s1") if e["seq"] < after["seq"]][:len(events)] == events
        assert lab.n.running() and lab.h.running() and lab.n.green()
        counted = lab.n.metric("meerkat_frames_bad_total")
        assert counted > sent // 4, f"{counted} of {sent} counted\n{before}"
        assert lab.h.metric("meerkat_hub_frames_refused_total") > 0


def test_what_is_refused_is_answered_where_it_can_be():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        for key, value, reason in (("v", 9, "unsupported_version"), ("kind", "wish", "invalid_field"),
                                   ("handling", 3, "invalid_field"), ("deadline_ms", -1, "invalid_field")):
            answer = client.ask({**client.input("s1", "x"), key: value}, "admission", timeout=5)
            assert answer and (answer["outcome"], answer["reason"], answer["final"]) == ("rejected", reason, True), (key, answer)
        answer = client.ask(client.command("s1", "frobnicate"), "result", timeout=5)
        assert answer and answer["error"]["code"] == "unknown_op" and answer["error"]["final"], answer


def test_garbage_on_the_ports_of_the_hub_is_survived():
    with Lab() as lab:
        lab.cluster()
        chance = random.Random(2)
        greeting = b"\0SP\0\0\x20\0\0"
        for url in lab.h.bus.split("|"):
            hurl(url)
            hurl(url, b"GET /%41 HTTP/1.1\r\n\r\n")
            hurl(url, b"\0SP\0\xff\xff\0\0")
            hurl(url, greeting[:5])
            hurl(url, greeting, b"\xff" * 8)
            hurl(url, greeting, b"\0\0\0\0\0\0\0\x10short")
            hurl(url, greeting, b"\0\0\0\0\0\0\0\0")
            for _ in range(20):
                hurl(url, chance.randbytes(chance.randrange(1, 300)))
        pipe = Pipe(lab.h.bus.split("|")[0], PUB)  # a poison publisher: one frame above the limit
        try:
            pipe.send(b"in/*/*\0" + bytes(3 << 20))
        except OSError:
            pass
        client = lab.client()
        assert client.ask(client.input("s1", "x"), "completion")["outcome"] == "completed"
        assert lab.h.running() and lab.n.running()


def test_a_subscriber_that_never_reads_holds_nobody_up():
    with Lab() as lab:
        lab.cluster()
        deaf = [Pipe(lab.h.bus.split("|")[1], SUB) for _ in range(3)]
        load = Load(lab.client(watch="*"), window=300)
        for i in range(600):
            load.add(f"s{i % 20}", "x" * 4000, executor="echo")
        load.finish()
        load.check()
        for pipe in deaf:
            pipe.close()


def test_garbage_for_http_is_survived():
    with Lab() as lab:
        lab.cluster()
        for daemon in (lab.n, lab.h):
            url = "tcp://" + daemon.ready["http"]
            hurl(url, b"\0" * 500)
            hurl(url, b"GET / HTTP/9.9\r\n\r\n")
            hurl(url, b"GET /" + b"a" * 100000)
            hurl(url, b"POST /readyz HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"x" * 1000)
            assert daemon.http("/nothing")[0] == 404
            assert daemon.http("/healthz")[0] == 200
        wait_until(lab.n.green, 5, "still ready")
