"""The life of a session, by command: what each answers, and what becomes of the inputs."""
from harness import Lab


class Person:
    """Gives commands to one session and says what came of them."""

    def __init__(self, lab, session="s1"):
        self.client, self.session = lab.client(), session

    def do(self, op, args=None, **keys):
        return self.client.ask(self.client.command(self.session, op, args, **keys), "result")

    def ok(self, op, args=None, **keys):
        answer = self.do(op, args, **keys)
        assert answer and answer["ok"], (op, answer)
        return answer.get("data")

    def refused(self, op, code, args=None):
        answer = self.do(op, args)
        assert answer and not answer["ok"] and answer["error"]["code"] == code, (op, code, answer)
        return answer["error"]

    def phase(self):
        return self.ok("state")["phase"]

    def send(self, body, **keys):
        message = self.client.input(self.session, body, **keys)
        answer = self.client.ask(message, "admission")
        assert answer["outcome"] == "accepted", answer
        return message

    def outcome(self, message):
        return self.client.ask(message, "completion", timeout=5)


def test_retire_lets_the_backlog_drain_and_refuses_new_inputs():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        running, waiting = person.send(600, executor="sleep"), person.send(1)
        report = person.ok("retire")
        assert report["abandoned"] == 0 and report["pending_drain"] == 2, report
        refused = person.client.ask(person.client.input("s1", "x"), "admission", timeout=0.4)
        assert (refused["outcome"], refused["reason"]) == ("rejected", "not_ready"), refused
        assert [person.outcome(m)["outcome"] for m in (running, waiting)] == ["completed", "completed"]
        assert person.phase() == "retired"


def test_a_session_full_of_waiting_inputs_is_destroyed_in_one_commit():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        parked = [person.send(n, wake=False) for n in range(1024)]
        full = person.client.ask(person.client.input("s1", "x", wake=False), "admission", timeout=0.4)
        assert (full["outcome"], full["reason"], full["final"]) == ("rejected", "overloaded", False), full
        assert person.ok("destroy")["abandoned"] == 1024
        assert person.phase() == "destroyed"
        assert person.outcome(parked[-1])["outcome"] == "runtime_terminated"


def test_reset_abandons_what_waits_and_the_session_serves_again():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.outcome(person.send(1))
        parked = person.send("later", wake=False)
        report = person.ok("reset")
        assert report["abandoned"] == 1, report
        assert person.outcome(parked)["outcome"] == "runtime_terminated"
        assert person.outcome(person.send("again"))["result"] == "again"


def test_a_run_refuses_reset():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.send(5000, executor="sleep")
        person.refused("reset", "invalid_state")


def test_a_registered_session_runs_its_first_input():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.ok("register", {"executor": "counter"})
        done = person.outcome(person.send(4))
        assert done and done["result"] == {"value": 4}, (done, person.ok("show"))


def test_a_stopped_session_is_revived_by_register():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        first = person.outcome(person.send(1, executor="counter"))
        person.ok("stop")
        assert person.phase() == "stopped"
        refused = person.client.ask(person.client.input("s1", "x"), "admission", timeout=0.4)
        assert (refused["outcome"], refused["reason"]) == ("rejected", "not_ready"), refused
        person.ok("register")
        assert person.phase() in ("idle", "attached")
        second = person.outcome(person.send(1, executor="counter"))
        assert second, person.ok("show")
        assert second["result"] == {"value": 2} and second["epoch"] == first["epoch"], (first, second)


def test_a_destroyed_session_stays_destroyed():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.outcome(person.send(1))
        waiting = person.send("later", wake=False)
        assert person.ok("destroy")["abandoned"] == 1
        assert person.outcome(waiting)["outcome"] == "runtime_terminated"
        refused = person.client.ask(person.client.input("s1", "x"), "admission")
        assert (refused["reason"], refused["final"]) == ("destroyed", True), refused
        assert person.refused("register", "destroyed")["final"]
        assert person.client.replay("s1")[-1]["name"] == "runtime_destroyed"


def test_an_unregistered_session_begins_anew_and_its_numbers_go_on():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.outcome(person.send(7, executor="counter"))
        head = person.client.replay("s1")[-1]["seq"]
        person.ok("unregister")
        again = person.outcome(person.send(1, executor="counter"))
        assert again["seq"] > head, again
        numbers = [e["seq"] for e in person.client.replay("s1")]
        assert numbers == list(range(1, len(numbers) + 1)), numbers


def test_interrupt_cancels_the_run_and_the_next_one_starts():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        long, after = person.send(60000, executor="sleep"), person.send(1)
        person.ok("interrupt")
        assert person.outcome(long)["outcome"] == "cancelled"
        assert person.outcome(after)["outcome"] == "completed"


def test_a_repeated_command_answers_its_first_result():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.outcome(person.send(1))
        person.send("later", wake=False)
        command = person.client.command("s1", "reset")
        first = person.client.ask(command, "result")
        again = person.client.ask(command, "result")
        assert first["ok"] and first["data"] == again["data"], (first, again)
        assert first["data"]["abandoned"] == 1, first


def test_commands_survive_the_node():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.outcome(person.send(1))
        person.ok("retire")
        lab.n.kill()
        lab.n.start()
        assert person.phase() == "retired"


def test_a_query_of_nobody_is_answered_and_creates_nothing():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab, "nobody")
        answer = person.do("state")
        assert answer and not answer["ok"], answer
        assert "nobody" not in lab.cli("ps").out


def test_the_command_line_gives_commands():
    with Lab() as lab:
        lab.cluster()
        assert lab.cli("send", "s1", "x", "--wait").code == 0
        retired = lab.cli("ctl", "s1", "retire", "--json")
        assert retired.code == 0 and retired.lines()[-1]["result"]["phase"] == "retired", retired
        refused = lab.cli("ctl", "s1", "interrupt", "--json")
        assert refused.code == 4 and refused.lines()[-1]["reason"] == "not_ready", refused
