"""A meerkat client in plain Python: no library of this project, of nng or of msgpack (wire.py has what it needs of those two).
Written to be read by whoever writes a client in another language; docs/protocol.md is the reference. It shows what a publisher
does: send an input, send it again under the same id until it is answered, await its admission and its completion, give commands,
watch a session's numbered events, and read them again.

    client = Client("tcp://127.0.0.1:7400|tcp://127.0.0.1:7401")
    done = client.ask(client.input("s1", "hello"), "completion")
    print(done["outcome"], done["result"])
"""
import binascii
import secrets
import time

from wire import PUB, SUB, Pipe, pack, unpack


class Client:
    """bus: "IN|OUT", where publishers and where subscribers connect. watch: sessions whose events are wanted too, or "*"."""

    def __init__(self, bus, name=None, partitions=256, watch=()):
        self.bus_in, self.bus_out = bus.split("|")
        self.name = name or "py-" + secrets.token_hex(6)
        self.partitions, self.watch = partitions, watch
        self.fences, self.moved = {}, set()  # of each partition the highest heard; those that have another owner since
        self.pub = self.sub = None
        self._connect()

    def _connect(self):
        """Subscribe first, or an answer may be published before we listen. False: the bus is not there at the moment."""
        try:
            self.sub = self.sub or Pipe(self.bus_out, SUB)
            self.pub = self.pub or Pipe(self.bus_in, PUB)
            return True
        except OSError:
            return False

    def close(self):
        for pipe in (self.pub, self.sub):
            if pipe:
                pipe.close()
        self.pub = self.sub = None

    def partition(self, session):
        """Who owns a session is decided by its partition: CRC-16/XMODEM of its id, modulo the number of partitions."""
        return binascii.crc_hqx(session.encode(), 0) % self.partitions

    def _message(self, kind, keys):
        now = int(time.time() * 1000)
        base = {"v": 1, "t": kind, "id": secrets.token_hex(8), "ts": now, "reply_to": self.name}
        return {**base, **{k: v for k, v in keys.items() if v is not None}}

    def input(self, session, body, **keys):
        """An input. `born` says when it was first sent: repeats carry it unchanged."""
        message = self._message("input", {"session": session, "body": body, **keys})
        return {"born": message["ts"], **message}

    def command(self, session, op, args=None, **keys):
        """A command: `born` as of an input."""
        message = self._message("command", {"session": session, "op": op, "args": args, **keys})
        return {"born": message["ts"], **message}

    def publish(self, messages):
        """Puts messages of one class on the bus, several as one frame. A bus may lose them: who awaits an answer repeats."""
        cls = "in" if messages[0]["t"] == "input" else "ctl"
        if len(messages) == 1:
            session = messages[0]["session"]
            topic, body = f"{cls}/{self.partition(session):04x}/{session}", messages[0]
        else:
            topic, body = f"{cls}/*/*", {**self._message("batch", {"reply_to": None}), "items": messages}
        self.publish_frame(topic.encode() + b"\0" + pack(body))

    def publish_frame(self, frame):
        """A frame is its topic, one zero byte, one msgpack map."""
        try:
            if self._connect():
                self.pub.send(frame)
        except OSError:
            self.pub = None

    def receive(self, seconds):
        """Messages to us, and events that we watch, batches taken apart. Empty after so long without any."""
        if not self._connect():
            time.sleep(min(seconds, 0.02))
            return []
        try:
            frames = self.sub.frames(seconds)
        except OSError:
            self.sub = None
            return []
        messages = []
        for topic, _, body in (frame.partition(b"\0") for frame in frames):
            if topic.startswith(b"hb/"):
                self._note_owners(unpack(body)[0])
                continue
            ours = topic == b"re/" + self.name.encode()
            if not ours and not (self.watch and topic.startswith(b"ev/")):
                continue  # a subscriber gets everything, and drops what it has no use for
            message = unpack(body)[0]
            items = message["items"] if message["t"] == "batch" else [message]
            messages += [m for m in items if ours or self.watch == "*" or m["session"] in self.watch]
        return messages

    def _note_owners(self, beat):
        """A higher fence than before is another owner: what the last one did not answer may have been kept by nobody."""
        for pp, (_history, fence, _sequence) in beat.get("owned", {}).items():
            p = int(pp, 16)
            if 0 < self.fences.get(p, 0) < fence:
                self.moved.add(p)
            self.fences[p] = max(fence, self.fences.get(p, 0))

    def ask(self, message, want, timeout=10.0, again=0.5):
        """Publishes, and publishes the very same message again (at once, when its partition gets another owner) until the `want`
        ("admission", "completion", "result") of it is there. Returns that, or a rejection (an admission), or None: no answer, and
        repeating with the same id is safe."""
        end, answer, known = time.monotonic() + timeout, None, {message["id"]}
        partition = self.partition(message["session"])
        while time.monotonic() < end:
            self.moved.discard(partition)
            self.publish([message])
            until = min(end, time.monotonic() + again)
            while partition not in self.moved and (left := until - time.monotonic()) > 0:
                for m in self.receive(left):
                    if m.get("re") not in known:
                        continue
                    if m["t"] == want or m.get("final"):
                        return m
                    if m["t"] == "admission":  # a repeat may be answered with what became of the first
                        if m.get("completion"):
                            return m["completion"]
                        known.add(m.get("existing", message["id"]))
                        answer = m if m["outcome"] == "rejected" else None
        return answer

    def replay(self, session, first=1, page=500):
        """The session's retained events from a number on, in order."""
        events = []
        while True:
            args = {"from": first, "limit": page}
            answer = self.ask(self.command(session, "events", args), "result")
            if not answer or not answer["ok"]:
                raise RuntimeError(f"events of {session}: {answer}")
            items, head = answer["data"]["items"], answer["data"]["head"]
            events += items
            if not items or items[-1]["seq"] >= head:
                return events
            first = items[-1]["seq"] + 1
