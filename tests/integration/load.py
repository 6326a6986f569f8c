"""Load: many inputs to many sessions, a bounded number in flight, several in one frame, repeated with the same id until each is
answered twice: admitted, and completed. Everything sent and heard goes into a History."""
import time

from history import History

BATCH = 50  # inputs in one frame
WINDOW_MAX = 4096  # unanswered inputs of one publisher (docs/protocol.md)


class Load:
    """client: watches "*", so that the history has the live events too.
    window: inputs sent and not yet completed; at most 4,096 (docs/protocol.md)."""

    def __init__(self, client, window=200, again=1.0):
        self.client, self.window, self.again = client, window, again
        self.history = History()
        self.waiting, self.flying = [], {}  # messages not sent yet; id -> Sent

    def add(self, session, body=1, executor="counter", **keys):
        message = self.client.input(session, body, executor=executor, **keys)
        self.waiting.append(message)
        return message

    def add_counters(self, inputs, sessions, prefix="c"):
        """`inputs` inputs of body 1..5 in turn, over so many counter sessions."""
        for i in range(inputs):
            self.add(f"{prefix}{i % sessions}", 1 + i % 5)
        return self

    @property
    def completed(self):
        return len(self.history.completed)

    @property
    def accepted(self):
        return sum(1 for known in self.history.inputs.values() if known.accepted_at)

    def step(self, seconds=0.02):
        """Sends what the window allows and what is due again, and hears what is there."""
        self.send()
        self.hear(seconds)

    def send(self):
        now = time.monotonic()
        due = [known.message for known in self.flying.values() if now - known.last_sent > self.again]
        room = self.window - len(self.flying)
        fresh, self.waiting = self.waiting[:max(room, 0)], self.waiting[max(room, 0):]
        messages = due + fresh
        for at in range(0, len(messages), BATCH):
            self.client.publish(messages[at:at + BATCH])
        for message in messages:
            self.history.sent(message, now)
        for message in fresh:
            self.flying[message["id"]] = self.history.inputs[message["id"]]

    def hear(self, seconds):
        for message in self.client.receive(seconds):
            self.history.heard(message)
            self._landed(message)

    def _landed(self, message):
        """Done with an input when both its answers are there: an admission that was lost is asked for again."""
        i = message["input"] if message["t"] == "completion" else message.get("re")
        known = self.flying.get(i)
        if known and (known.accepted_at and known.completed_at or message.get("final")):
            del self.flying[i]

    def run_until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}: {self}")
            self.step()
        return self

    def run_for(self, seconds):
        """Keeps the load going so long, whatever comes of it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()

    def finish(self, seconds=40):
        return self.run_until(lambda: not self.waiting and not self.flying, seconds, "every input is completed")

    def resumed(self, fences):
        """[(when, input id)]: first completions, in order, that were committed under a higher fence than the one that their partition
        had here: {partition: fence}. So after its owner changed."""
        history, found = self.history, []
        for at, i in history.completed:
            before = fences.get(self.client.partition(history.inputs[i].message["session"]))
            if before and max(fence for _, fence, _, _ in history.outcomes[i]) > before:
                found.append((at, i))
        return found

    def check(self):
        """Replays everything and lets the history judge."""
        self.history.replay(self.client)
        wrong = self.history.check()
        assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:10])

    def __repr__(self):
        return (f"{len(self.waiting)} not sent, {len(self.flying)} in flight, {self.accepted} accepted, "
                f"{self.completed} completed, rejected {self.history.rejections}")


class Steady(Load):
    """A load by the clock: each of `sessions` counter sessions gets an input every `pace_ms`, evenly spread, whatever is still on
    its way, until stop(). What is looked at is the time between two completions of one session: the pace, and what is more is
    waiting."""

    def __init__(self, client, sessions, pace_ms, again=1.0, prefix="steady-"):
        super().__init__(client, window=WINDOW_MAX, again=again)
        self.names = [f"{prefix}{i}" for i in range(sessions)]
        self.pace_ms, self.turn, self.due = pace_ms, 0, time.monotonic()

    def stop(self):
        self.due = float("inf")

    def step(self, seconds=0.02):
        while self.due <= time.monotonic():
            self.add(self.names[self.turn % len(self.names)])
            self.turn += 1
            self.due += self.pace_ms / 1000 / len(self.names)
        super().step(min(seconds, max(self.due - time.monotonic(), 0)))

    def warm(self, seconds=20):
        """Until every session has completed an input: it costs more to come into being than to go on."""
        done = self.history.inputs
        return self.run_until(lambda: len({done[i].message["session"] for _, i in self.history.completed}) == len(self.names),
                              seconds, "every session has begun")

    def gaps(self, since, until):
        """session -> the largest time between two of its completions in this time, in ms. Ordered by size."""
        last, largest = {}, dict.fromkeys(self.names, 0.0)
        for at, i in self.history.completed:
            session = self.history.inputs[i].message["session"]
            if session in last and since <= at and last[session] <= until:
                largest[session] = max(largest[session], (at - max(last[session], since)) * 1000)
            last[session] = at
        return dict(sorted(largest.items(), key=lambda gap: gap[1]))

    @property
    def repeats(self):
        """Inputs sent again, because an answer did not come in time."""
        return sum(known.times - 1 for known in self.history.inputs.values())


def percentile(values, percent):
    """Of an ordered list."""
    values = list(values)
    return values[min(len(values) - 1, len(values) * percent // 100)]
