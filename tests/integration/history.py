"""The history checker: what was promised (README, "What is promised"), checked from the outside. It knows only what went over
the wire: what was sent, what was answered, which numbered events were published or replayed.

P1  an accepted input has a completion, and one only
P2  an input id appears under one event number only; an idempotency key is admitted once
P3  along the numbers of a session the fence never falls
P5  in one lane an input that was accepted before another was first sent ends before it
P7  a session's events are numbered 1, 2, 3... without gaps; one number has one content, unless under a higher fence; what was
    published and what is stored agree on the highest
and the counters: each result of a `counter` session is the sum of all bodies up to it.
"""
import time

from wire import pack, unpack

RAN = ("completed", "completed_without_result")


class Sent:
    """One input: what is known of it."""

    def __init__(self, message, at):
        self.message, self.first_sent, self.last_sent, self.times = message, at, at, 1
        self.accepted_at = self.completed_at = None
        self.existing = None  # a repeat that was answered with another input's id
        self.rejected = None  # the last rejection

    @property
    def lane(self):
        return self.message["session"], self.message.get("handling", "queue")


class History:
    def __init__(self):
        self.inputs = {}  # id -> Sent
        self.events = {}  # session -> seq -> fence -> set of contents
        self.stored = {}  # session -> seq -> fence, as replayed last
        self.accepted = []  # (when, id), every answer `accepted`
        self.completed = []  # (when, id), the first completion of each
        self.outcomes = {}  # id -> set of (seq, fence, outcome, result)
        self.rejections = {}  # reason -> count

    # --- recording ---

    def sent(self, message, at=None):
        at = at or time.monotonic()
        known = self.inputs.get(message["id"])
        if known:
            known.last_sent, known.times = at, known.times + 1
        else:
            self.inputs[message["id"]] = Sent(message, at)

    def heard(self, message, at=None):
        at = at or time.monotonic()
        kind = message["t"]
        if kind == "admission":
            self._admission(message, at)
        elif kind in ("completion", "effect"):
            self._event(message)
            if kind == "completion":
                self._completion(message, at)

    def _admission(self, m, at):
        known = self.inputs.get(m["re"])
        if not known:
            return
        if m["outcome"] == "rejected":
            known.rejected = m
            self.rejections[m["reason"]] = self.rejections.get(m["reason"], 0) + 1
            return
        if m["outcome"] == "accepted":
            self.accepted.append((at, m["re"]))
        known.existing = m.get("existing", m["re"])
        known.accepted_at = known.accepted_at or at
        if m.get("completion"):
            self.heard(m["completion"], at)

    def _completion(self, m, at):
        self.outcomes.setdefault(m["input"], set()).add((m["seq"], m["fence"], m["outcome"], pack(m.get("result"))))
        known = self.inputs.get(m["input"])
        if known and not known.completed_at:
            known.completed_at = at
            self.completed.append((at, m["input"]))

    def _event(self, m):
        self.events.setdefault(m["session"], {}).setdefault(m["seq"], {}).setdefault(m["fence"], set()).add(pack(m))

    def replay(self, client):
        """Reads every session's events again from the first, as a late watcher would."""
        for session in sorted({known.message["session"] for known in self.inputs.values()}):
            events = client.replay(session)
            self.stored[session] = {event["seq"]: event["fence"] for event in events}
            for event in events:
                self.heard(event)

    # --- the verdict ---

    def lost(self):
        """Accepted, and no completion."""
        return [i for i, known in self.inputs.items() if known.accepted_at and not self.outcomes.get(known.existing or i)]

    def twice(self):
        """Inputs that stand under more than one event number."""
        return [i for i, outcomes in self.outcomes.items() if len({seq for seq, _, _, _ in outcomes}) > 1]

    def counted(self):
        """What all counters stand at together."""
        last = {}
        for i, known in self.inputs.items():
            if known.message.get("executor") == "counter" and i in self.outcomes and self._last(i)[1] in RAN:
                seq, _, result = self._last(i)
                last[known.message["session"]] = max(last.get(known.message["session"], (0, 0)), (seq, unpack(result)[0]["value"]))
        return sum(value for _, value in last.values())

    def check(self, counters=True):
        """What is broken, as sentences; empty is well."""
        wrong = [f"P1: {i} was accepted and has no completion" for i in self.lost()]
        wrong += [f"P2: {i} has several completions: {sorted(self.outcomes[i])}" for i in self.twice()]
        wrong += self._keys_admitted_twice()
        for session, numbers in sorted(self.events.items()):
            wrong += self._numbers(session, numbers) + self._said_and_stored(session, numbers)
        wrong += self._order()
        if counters:
            wrong += self._counters()
        return wrong

    def _keys_admitted_twice(self):
        first, wrong = {}, []
        for _, i in self.accepted:
            message = self.inputs[i].message
            key = (message["session"], message.get("idem"))
            if key[1] and first.setdefault(key, i) != i:
                wrong.append(f"P2: key {key[1]} of {key[0]} was admitted as {first[key]} and as {i}")
        return wrong

    @staticmethod
    def _numbers(session, numbers):
        wrong = []
        missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
        if missing:
            wrong.append(f"P7: {session} misses the events {missing[:10]} of {max(numbers)}")
        highest = 0
        for seq in sorted(numbers):
            wrong += [f"P7: {session} event {seq} has {len(contents)} contents under fence {fence}"
                      for fence, contents in numbers[seq].items() if len(contents) > 1]
            if max(numbers[seq]) < highest:
                wrong.append(f"P3: {session} event {seq} has fence {max(numbers[seq])}, one before it {highest}")
            highest = max(highest, *numbers[seq])
        return wrong

    def _said_and_stored(self, session, numbers):
        stored = self.stored.get(session)
        if stored is None:  # nothing was replayed
            return []
        return [f"P7: {session} event {seq} was published under fence {max(fences)}, stored is {stored.get(seq)}"
                for seq, fences in sorted(numbers.items()) if max(fences) != stored.get(seq)][:3]

    def _last(self, i):
        """(seq, outcome, result) of an input, as the highest fence tells it."""
        seq, _, outcome, result = max(self.outcomes[i], key=lambda known: known[1])
        return seq, outcome, result

    def _in_order(self):
        """Every lane's inputs that ran, by the number of their completion."""
        lanes = {}
        for i, known in self.inputs.items():
            if i in self.outcomes and self._last(i)[1] in RAN:
                lanes.setdefault(known.lane, []).append((self._last(i)[0], i))
        return {lane: [i for _, i in sorted(ran)] for lane, ran in lanes.items()}

    def _order(self):
        wrong = []
        for lane, ran in self._in_order().items():
            latest, which = 0, None
            for i in ran:
                known = self.inputs[i]
                if known.accepted_at and known.accepted_at < latest:
                    wrong.append(f"P5: {lane}: {i} was accepted before {which} was sent, and ended after it")
                if known.first_sent > latest:
                    latest, which = known.first_sent, i
        return wrong

    def _counters(self):
        wrong, sums, broken = [], {}, set()
        ran = [(known.message["session"], self._last(i)[0], i) for i, known in self.inputs.items()
               if known.message.get("executor") == "counter" and i in self.outcomes and self._last(i)[1] in RAN]
        for session, _, i in sorted(ran):
            if session in broken:
                continue  # one sentence is enough: all later sums differ too
            body = self.inputs[i].message["body"]
            sums[session] = sums.get(session, 0) + (body if isinstance(body, int) else 1)
            result = self._last(i)[2]
            if result != pack({"value": sums[session]}):
                wrong.append(f"counter: {session} says {result} at {i}, the bodies add up to {sums[session]}")
                broken.add(session)
        return wrong
