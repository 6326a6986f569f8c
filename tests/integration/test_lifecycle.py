"""Every operation of a session, from every phase, over the bus, with real processes: what it answers, the phase afterwards, and
how the inputs end, compared with lifecycle_table.py. A pair is one operation on one session of its own in one phase; all pairs of a
node run at once over one connection.

What was done is asked for once more under its id, and answers its first result. The node is killed, and the next one shows what is
durable and knows the results. Then all sessions are destroyed: the events of each have no gap, and every input that was accepted
has ended exactly once, as it must.
"""
import secrets
import time

from harness import Lab
from lifecycle_table import (AUTOMATIC, ENDS, IMPOSSIBLE, NOBODY, ONLY_MANUAL, OPERATIONS, PHASES, REMEMBERED, STEPS, TABLE,
                             read_table)

EXECUTORS = ["--executor", "nap=builtin:sleep"]  # another name for the same, to tell who got the session
LONG_MS = 600_000  # inputs never end by themselves
PATIENCE_S = 10
FRAME = 500  # messages
TRIES = 60  # an unregister waits for its run for a moment only: on a busy machine it is over before the next message comes

# --- one connection, many sessions -------------------------------------------------------------------------------------


class Line:
    """Asks many questions at once, and again those without an answer."""

    def __init__(self, client):
        self.client, self.answers, self.events = client, {}, []

    def publish(self, messages):
        """In order; messages of one class that follow each other share frames."""
        while messages:
            count = next((i for i, m in enumerate(messages[:FRAME]) if m["t"] != messages[0]["t"]), FRAME)
            self.client.publish(messages[:count])
            messages = messages[count:]

    def hear(self, seconds):
        for message in self.client.receive(seconds):
            if message["t"] in ("result", "admission"):
                self.answers.setdefault(message["re"], message)
            else:
                self.events.append(message)

    def missing(self, messages):
        return [m for m in messages if m["id"] not in self.answers]

    def await_all(self, messages, again_s=0.5):
        end, again = time.monotonic() + PATIENCE_S, time.monotonic() + again_s
        while missing := self.missing(messages):
            now = time.monotonic()
            assert now < end, f"no answer to {len(missing)}, the first {missing[0]}"
            if now >= again:
                self.publish(missing)
                again = now + again_s
            self.hear(min(0.1, max(0.0, again - now)))

    def ask_all(self, messages):
        """Answers in the order of the questions, also of those that were asked and answered before."""
        for m in messages:
            self.answers.pop(m["id"], None)
        self.publish(messages)
        self.await_all(messages)
        return [self.answers[m["id"]] for m in messages]


class Pair:
    """One operation on one session in one phase."""

    def __init__(self, client, operation, phase, expected):
        self.client, self.operation, self.phase, self.expected = client, operation, phase, expected
        self.faults = []
        self.begin()

    def begin(self):
        """A session of its own. Called again when the first did not get where it should."""
        self.session = f"{self.phase}-{self.operation}-{secrets.token_hex(4)}"
        self.inputs, self.accepted, self.epoch, self.turn = {}, [], "none", f"turn-{secrets.token_hex(8)}"

    def __repr__(self):
        return f"{self.operation} from {self.phase}"

    def command(self, op, args=None):
        return self.client.command(self.session, op, args or None)

    def put_in(self, name):
        """Input `name`: r, q, f, or the one whose admission is the operation."""
        body = {"fail": 2} if name == "f" else LONG_MS
        parked = name == "q" and self.phase in ("reset", "attached")
        message = self.client.input(self.session, body, executor="nap" if name == "new" else None, wake=False if parked else None)
        self.inputs[name] = message["id"]
        return message

    def step(self, name):
        if len(name) == 1:
            return self.put_in(name)
        op, args = STEPS[name]
        return self.command(op, self.arguments(args))

    def arguments(self, args):
        return {key: self.argument(value) for key, value in args.items()}

    def argument(self, value):
        if value == "@epoch":
            return self.epoch
        if value == "@waiting":
            return next((self.inputs[name] for name in "qf" if name in self.inputs), f"never-{self.session}")
        if value == "@input":
            return self.put_in("new")
        return {"@runs": self.inputs.get("r"), "@turn": self.turn}.get(value, value) if isinstance(value, str) else value

    def messages(self):
        """What is sent at once: the last step, a look, the operation, a look."""
        op, args = OPERATIONS[self.operation]
        self.last = [self.step(name) for name in PHASES[self.phase][1]]
        self.asked = self.put_in("new") if op == "input" else self.command(op, self.arguments(args))
        self.before, self.after = self.command("show"), self.command("show")
        return self.last + [self.before, self.asked, self.after]

    def fault(self, what, expected, got):
        self.faults.append(f"{self}: {what}: expected {expected}, got {got}")

    def in_its_phase(self, shown, after):
        """Whether the look before the operation found what the phase is. An input is a frame of its own: the unregister that it
        meets may be over before the look that follows."""
        if self.phase == "leaving" and self.operation == "input":
            if not after["ok"] or after["data"]["registration"] != "draining":
                return False
        _, _, shows, executor, active = PHASES[self.phase]
        if not shown["ok"]:
            return shows == NOBODY and shown["error"]["code"] == "not_found"
        data, runs = shown["data"], "r" in active or self.phase == "turn"
        found = (data["phase"], data["attached"], data["active"], data["run"] is not None, data["registration"] == "draining")
        return found == (shows, executor, len(active), runs, self.phase == "leaving")

    def done_before(self):
        """It is remembered: what had nothing to do has no data, and was not done."""
        return self.operation in REMEMBERED and self.result["ok"] and bool(self.result.get("data"))

    def other_content(self):
        return {**self.asked, "args": {**self.asked.get("args", {}), "reason": "another"}}

    # --- what is compared ---

    def check_answer(self, answer):
        expected = self.expected
        if answer["t"] == "admission":
            ok, error, data = answer["outcome"] == "accepted", {**answer, "code": answer.get("reason")}, answer
        else:
            ok, error, data = answer["ok"], answer.get("error"), answer.get("data") or {}
        if ok and (answer["t"] == "admission" or data.get("outcome") == "accepted"):
            self.accepted.append("new")
        if ok != expected.ok:
            self.fault("answer", expected.code, error or answer)
        elif not ok:
            got = (error["code"], error["final"], error.get("phase"))
            about_phase = expected.code in ("not_ready", "invalid_state", "validation_failed")
            wanted = (expected.code, expected.final, expected.phase.replace(NOBODY, "destroyed") if about_phase else None)
            if got != wanted:
                self.fault("error, final, phase", wanted, got)
        else:
            self.check_data(data)

    def check_data(self, data):
        for key, text in self.expected.data.items():
            got = data.get(key, "nothing")
            if text.startswith("="):
                wanted = [self.inputs[name] for name in text[1:]]
            else:
                wanted = {"yes": True, "no": False, "nil": None}.get(text, int(text) if text.isdigit() else self.argument(text))
            if got != wanted:
                self.fault(f"data.{key}", wanted, got)
        if self.operation == "prepare_bindings" and not (data.get("epoch") and data.get("fence") and data.get("generation")):
            self.fault("data", "fence, generation, epoch", data)
        if self.operation.startswith("unregister") and self.expected.ok and not self.expected.data and data:
            self.fault("data", "none", data)

    def check_phase(self, when, wanted, answer):
        got = answer["data"]["phase"] if answer["ok"] else answer["error"]["code"].replace("not_found", NOBODY)
        if got != wanted:
            self.fault(when, wanted, got)

    def restored(self, shown):
        """What the next owner shows: a run goes on, what waits is woken, and an executor comes back with its session (D17). A
        service's turn ends with its node; a stop that waited for it is carried out (D18)."""
        phase, attached, executor, active = there(shown)
        if phase == "running" and "service" in shown["data"]["run"]:
            if self.operation == "stop":
                return ("stopped", False, executor, 0)
            phase = "attached"
        if phase in ("idle", "attached") and attached:
            phase = "running" if active else "attached"
        return (phase, *there(shown)[1:])

    def ends(self, name):
        """What may become of an accepted input."""
        wanted = self.expected.ends.get(name, "destroyed")
        ends = [ENDS[wanted]]
        if name == "f" and name not in self.expected.ends:
            ends.append(("completed", None))  # its third attempt
        return ends

    def check_events(self, events):
        numbers = [e["seq"] for e in events]
        if numbers != list(range(1, len(events) + 1)):
            self.fault("events", "1, 2, 3...", numbers)
        completions = [e for e in events if e["t"] == "completion"]
        for name in self.accepted:
            ended = [(c["outcome"], c.get("reason")) for c in completions if c["input"] == self.inputs[name]]
            if len(ended) != 1 or ended[0] not in self.ends(name):
                self.fault(f"end of {name}", self.ends(name), ended)
        if len(completions) != len(self.accepted):
            self.fault("completions", len(self.accepted), len(completions))


def there(shown):
    """What lasts of a session, as `show` says it: phase, whether it has an executor, its name, how many inputs are active."""
    data = shown.get("data") or {"phase": NOBODY}
    return tuple(data.get(key) for key in ("phase", "attached", "executor", "active"))


class Play:
    """All pairs on one node."""

    def __init__(self, lab, automatic):
        self.lab, self.automatic = lab, automatic
        lab.cluster(node_options=[*EXECUTORS, "--auto-register", "yes" if automatic else "no"])
        self.line = Line(lab.client(watch="*"))
        cells = read_table(TABLE)
        if automatic:
            cells.update(read_table(AUTOMATIC))
        phases = [phase for phase in PHASES if not (automatic and phase in ONLY_MANUAL)]
        wanted = {(operation, phase) for operation in OPERATIONS for phase in phases} - IMPOSSIBLE
        assert wanted <= set(cells), f"no row for {sorted(wanted - set(cells))}"
        self.pairs = [Pair(self.line.client, operation, phase, cells[operation, phase]) for operation, phase in sorted(wanted)]

    def take(self, pairs):
        """Brings the sessions to where the last step begins."""
        for i in range(max(len(PHASES[p.phase][0]) for p in pairs)):
            steps = [(p, PHASES[p.phase][0][i]) for p in pairs if i < len(PHASES[p.phase][0])]
            asked = [(p, name, p.step(name)) for p, name in steps]
            for (p, name, message), answer in zip(asked, self.line.ask_all([m for _, _, m in asked])):
                assert answer.get("ok") or answer.get("outcome") == "accepted", (p, name, answer)
                if len(name) == 1:
                    p.accepted.append(name)
        looks = [p for p in pairs if p.operation == "unregister_if_epoch" and PHASES[p.phase][2] != NOBODY]
        for p, shown in zip(looks, self.line.ask_all([p.command("show") for p in looks])):
            p.epoch = shown["data"]["epoch"]

    def failed_twice(self, pair):
        failures = [e for e in self.line.events if e["session"] == pair.session and e.get("name") == "run_failed"]
        return len(failures) == 2

    def operate(self, pairs):
        """What is sent at once of each pair; of those whose input waits for another attempt, in the moment when it does."""
        sent, waiting = [], [p for p in pairs if p.phase == "backlog"]
        for p in pairs:
            if p not in waiting:
                messages = p.messages()
                self.line.publish(messages)
                sent += messages
        end = time.monotonic() + PATIENCE_S
        while waiting:
            assert time.monotonic() < end, f"no second failure of {waiting}"
            for p in [p for p in waiting if self.failed_twice(p)]:
                messages = p.messages()
                self.line.publish(messages)
                sent += messages
                waiting.remove(p)
            self.line.hear(0.02)
        # What is refused now may be done if it comes again later. Only a second unregister has no answer until it is repeated.
        twice = {p.asked["id"] for p in pairs if p.phase == "leaving" and "unregister" in p.operation}
        self.line.await_all([m for m in sent if m["id"] not in twice], again_s=PATIENCE_S / 2)
        self.line.await_all(sent)

    def go(self):
        """Every pair, and once more those that something overtook."""
        left = self.pairs
        for _ in range(TRIES):
            self.line.events = []
            self.take(left)
            self.operate(left)
            left = [p for p in left if not p.in_its_phase(*(self.line.answers[m["id"]] for m in (p.before, p.after)))]
            if not left:
                break
            for p in left:
                p.begin()
        assert not left, f"never in their phase: {[(p, self.line.answers[p.before['id']]) for p in left]}"
        for p in self.pairs:
            p.result = self.line.answers[p.asked["id"]]
            p.check_answer(p.result)
            p.check_phase("phase", p.expected.now, self.line.answers[p.after["id"]])
            for m in p.last:
                if not self.line.answers[m["id"]]["ok"]:
                    p.fault("the last step", "ok", self.line.answers[m["id"]])

    def show_all(self, pairs):
        return self.line.ask_all([p.command("show") for p in pairs])

    def await_all_shown(self, when, pairs, wanted):
        """wanted: for each pair the beginning of what there() says of it, sooner or later."""
        end = time.monotonic() + PATIENCE_S
        while True:
            shown = [there(s) for s in self.show_all(pairs)]
            wrong = [(p, w, s) for p, w, s in zip(pairs, wanted, shown) if s[:len(w)] != w]
            if not wrong or time.monotonic() > end:
                break
        for p, w, s in wrong:
            p.fault(when, w, s)

    def settle(self):
        pairs = self.quiet()
        self.await_all_shown("once nothing moves", pairs, [(p.expected.then,) for p in pairs])

    def quiet(self):
        """Those whose inputs do not go on by themselves."""
        return [p for p in self.pairs if p.phase != "backlog"]

    def repeat(self, who):
        """Under the id of an operation that was done, its result is answered again, and nothing else is: rule 6."""
        done = [p for p in self.pairs if p.done_before()]
        quiet = [p for p in done if p.phase != "backlog"]
        before = [there(s) for s in self.show_all(quiet)]
        first = [p.result.get("data") for p in done]
        for p, data, again in zip(done, first, self.line.ask_all([p.asked for p in done])):
            if not again["ok"] or again.get("data") != data:
                p.fault(f"once more, {who}", data, again.get("error") or again.get("data"))
        for p, again in zip(done, self.line.ask_all([p.other_content() for p in done])):
            if again["ok"] or (again["error"]["code"], again["error"]["final"]) != ("id_conflict", True):
                p.fault(f"with another content, {who}", "id_conflict", again)
        for p, was, shown in zip(quiet, before, self.show_all(quiet)):
            if there(shown) != was:
                p.fault(f"after a repeat, {who}", was, there(shown))

    def kill(self):
        """Another owner shows what the last one made durable."""
        pairs = self.quiet()
        wanted = [p.restored(s) for p, s in zip(pairs, self.show_all(pairs))]
        self.lab.n.kill()
        self.lab.n.start()
        self.await_all_shown("under the next owner", pairs, wanted)

    def end(self):
        """Destroys what is there, after bringing back what was unregistered, and reads how all went."""
        commands = [p.command(op) for p in self.pairs for op in ("register", "destroy")]
        self.line.ask_all(commands)
        for p, page in zip(self.pairs, self.line.ask_all([p.command("events", {"from": 1}) for p in self.pairs])):
            p.check_events(page["data"]["items"])

    def report(self):
        faults = [fault for p in self.pairs for fault in p.faults]
        right = sum(not p.faults for p in self.pairs)
        print(f"     {len(self.pairs)} pairs of operation and phase, {right} as the table says "
              f"({'with' if self.automatic else 'without'} auto-register)")
        assert not faults, f"{len(faults)} differences:\n" + "\n".join(faults)


def play(automatic):
    with Lab() as lab:
        game = Play(lab, automatic)
        game.go()
        game.settle()
        game.repeat("the same owner")
        game.kill()
        game.repeat("the next owner")
        game.end()
        game.report()


def test_each_operation_from_each_phase_does_what_the_tables_say():
    play(automatic=False)


def test_each_operation_from_each_phase_does_the_same_where_sessions_register_themselves():
    play(automatic=True)


def test_an_input_gets_its_session_an_executor_wherever_the_session_stands():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        for ops in (("prepare_bindings",), ("prepare_bindings", "reset"), ("prepare_bindings", "recycle"), ("register", "reset")):
            session = "-".join(ops)
            for op in ops:
                answer = client.ask(client.command(session, op), "result")
                assert answer["ok"], answer
            done = client.ask(client.input(session, "hello"), "completion", timeout=3)
            assert done and done["outcome"] == "completed", (ops, client.ask(client.command(session, "show"), "result"))


test_each_operation_from_each_phase_does_what_the_tables_say.seconds = 120
test_each_operation_from_each_phase_does_the_same_where_sessions_register_themselves.seconds = 120
