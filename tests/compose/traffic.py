"""Steady load on a cluster while something is done to it: so many counters a second over so many sessions, everything repeated
until it is answered; the history checker of the integration tests judges what came over the wire."""
import threading
import time

from load import Load

RATE = 200  # inputs a second
SESSIONS = 40


class Traffic:
    def __init__(self, client, name):
        self.sessions = [f"{name}-{i}" for i in range(SESSIONS)]
        client.watch = set(self.sessions)  # others publish on this bus too: the demo
        self.load = Load(client, window=3000)
        self.began, self.added = time.monotonic(), 0

    def step(self):
        due = int((time.monotonic() - self.began) * RATE)
        for i in range(self.added, due):
            self.load.add(self.sessions[i % SESSIONS], 1 + i % 5)
        self.added = max(due, self.added)
        self.load.step()

    def until(self, condition, seconds, what):
        """What `condition` returns once it is true; asked between the steps, so it should be quick."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}: {self.load}")
            self.step()
        return value

    def go_on(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, seconds + 10, "time passes")

    def during(self, work, seconds=60):
        """Does `work`, which may take its time, while the load goes on. Returns what it returns."""
        outcome = {}

        def do():
            try:
                outcome["value"] = work()
            except BaseException as error:  # also an exit of it is for the caller
                outcome["error"] = error

        thread = threading.Thread(target=do, daemon=True)
        thread.start()
        self.until(lambda: not thread.is_alive(), seconds, "what is done beside the load")
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    def served(self, seconds, what):
        """Everything that was sent up to now is completed, while more is sent: nobody waits for what is broken."""
        sent = list(self.load.history.inputs.values())
        self.until(lambda: all(known.completed_at for known in sent), seconds, what)

    def finish(self, seconds=30):
        """Every input is answered, and the history is as promised."""
        self.load.finish(seconds)
        history = self.load.history
        assert self.load.completed == self.load.accepted == self.added, self.load
        self.load.check()
        assert history.counted() == sum(known.message["body"] for known in history.inputs.values())

    def fences(self):
        return {fence for numbers in self.load.history.events.values() for contents in numbers.values() for fence in contents}

    def slowest(self):
        """Seconds from the first sending of an input to its completion, the longest."""
        return max(map(took, self.load.history.inputs.values()))

    def slow(self, seconds):
        """Who waited longer, as lines for whoever reads the nodes' logs beside them."""
        lines = []
        for known in self.load.history.inputs.values():
            if took(known) > seconds:
                m, admitted = known.message, (known.accepted_at or known.completed_at) - known.first_sent
                at = time.strftime("%H:%M:%S", time.gmtime(m["born"] / 1000)) + f".{m['born'] % 1000:03}"
                lines.append(f"{at}Z {m['session']} partition {self.load.client.partition(m['session']):04x} {m['id']}: sent "
                             f"{known.times} times, admitted after {admitted:.2f} s, completed after {took(known):.2f} s")
        return "\n".join([f"{len(lines)} took more than {seconds} s", *lines[:20]])

    def __str__(self):
        refused = "".join(f", {count} times {reason}" for reason, count in sorted(self.load.history.rejections.items()))
        return f"{self.load.completed} inputs, slowest {self.slowest():.1f} s{refused}"


def took(known):
    """Of an input in a history; 0: not completed."""
    return known.completed_at - known.first_sent if known.completed_at else 0
