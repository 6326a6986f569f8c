"""The life of a session, by command: what each answers, and what becomes of the inputs. And the operator's commands: `nodes`, `ps`
and `drain`, with real nodes, and with nodes that the test plays."""
import binascii
import secrets
import time

from harness import Finished, Lab, wait_until
from wire import PUB, SUB, Pipe, pack, unpack


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


def members(lab):
    return {m["node"]: m for m in lab.cli("nodes", "--json").lines() if m["role"] == "node"}


def test_a_drained_node_hands_everything_over_and_the_receipt_adds_up():
    with Lab() as lab:
        lab.cluster()
        sessions = [f"c{i}" for i in range(20)]
        client = lab.client()
        for session in sessions:
            assert client.ask(client.input(session, 5, executor="counter"), "completion")["result"] == {"value": 5}
        n2 = lab.node(lab.r.store, lab.h.bus, name="n2")
        before = wait_until(lambda: (m := members(lab)) and m["n2"]["owned"] > 0 and not m["n1"]["handing"] and m, 20, "n2 has a share")
        assert before["n1"]["owned"] + before["n2"]["owned"] == 256, before
        assert not before["n1"]["suspicions"] and not before["n2"]["suspicions"], before
        mine = [s for s in sessions if f"{client.partition(s):04x}" in before["n1"]["message"]["owned"]]
        done = lab.cli("drain", "n1", "--json")
        receipt = done.lines()[-1]
        assert done.code == 0 and receipt["exit"] == 0 and receipt["node"] == "n1", done
        assert receipt["partitions"] == len(receipt["moved"]) == before["n1"]["owned"], done
        assert receipt["refused"] == 0 and {m["successor"] for m in receipt["moved"]} == {"n2"}, done
        assert receipt["sessions"] == sum(m["sessions"] for m in receipt["moved"]) == len(mine), (mine, done)
        assert lab.n.wait(10) == 0
        after = members(lab)
        assert set(after) == {"n2"} and after["n2"]["owned"] == 256, after
        for session in sessions:
            assert client.ask(client.input(session, 5, executor="counter"), "completion")["result"] == {"value": 10}
        listed = lab.cli("ps", "--json").lines()
        assert sorted(s["session"] for s in listed) == sorted(sessions), listed
        assert {(s["node"], s["owner"]) for s in listed} == {("n2", "n2")}, listed
        assert all(s["fence"] >= s["owner_fence"] > 0 for s in listed), listed
        last = lab.cli("drain", "n2")
        assert last.code == 0 and "no other node was there" in last.out, last
        assert n2.wait(10) == 0


class Stage:
    """Plays nodes on a real hub: they send the heartbeats that the test wants, and answer commands as it wants."""

    def __init__(self, lab):
        lab.h = lab.hub()
        self.lab, self.nodes, self.commands, self.answer = lab, {}, [], lambda _: None
        bus_in, bus_out = lab.h.bus.split("|")
        self.pub, self.sub = Pipe(bus_in, PUB), Pipe(bus_out, SUB)
        lab.clients.append(self)

    def close(self):
        self.pub.close()
        self.sub.close()

    def node(self, name, owned=(), **keys):
        """owned: {partition: fence}"""
        owned = {f"{p:04x}": ["h", fence, 1] for p, fence in dict(owned).items()}
        self.nodes[name] = {"v": 1, "t": "heartbeat", "role": "node", "node": name, "incarnation": f"{name}-1", "phase": "working",
                            "partitions_total": 4, "owned": owned, "sessions": 3, "load": 1, **keys}
        return self

    def publish(self, topic, message):
        self.pub.send(topic.encode() + b"\0" + pack({"id": secrets.token_hex(8), "ts": int(time.time() * 1000), **message}))

    def beat(self):
        for name, message in self.nodes.items():
            self.publish(f"hb/{name}", message)

    def _hear(self, frame):
        topic, _, body = frame.partition(b"\0")
        if not topic.startswith(b"node/"):
            return
        command = unpack(body)[0]
        self.commands.append((topic.decode(), command))
        data = self.answer(command)
        if data is not None:
            answer = data if "error" in data else {"data": data}
            self.publish(f"re/{command['reply_to']}",
                         {"v": 1, "t": "result", "re": command["id"], "ok": "error" not in data, "node": "n1", **answer})

    def cli(self, *args, seconds=15):
        """`meerkat ...`, while the nodes play."""
        process = self.lab.cli_start(f"cli{len(self.lab.processes)}", *args)
        end, due = time.monotonic() + seconds, 0
        while process.running():
            assert time.monotonic() < end, f"still running after {seconds} s: {args}"
            if time.monotonic() >= due:
                self.beat()
                due = time.monotonic() + 0.2
            for frame in self.sub.frames(0.02):
                self._hear(frame)
        return Finished(process.wait(1), process.text(), process.log())


def receipt(*moved, refused=0):
    moved = [{"partition": p, "sessions": 10, "successor": successor, "refused": 0, "ms": 5 + p} for p, successor in moved]
    return {"node": "n1", "partitions": len(moved), "sessions": 10 * len(moved), "refused": refused, "ms": 77, "moved": moved}


def test_drain_asks_until_the_receipt_comes_and_shows_it():
    with Lab() as lab:
        stage = Stage(lab).node("n1", {0: 5, 1: 6, 2: 7}).node("n2", {3: 4})
        given = receipt((0, "n2"), (1, "n3"), (2, "n2"))
        stage.answer = lambda _: given if len(stage.commands) == 3 else None
        done = stage.cli("drain", "n1", "--json")
        assert done.code == 0 and done.lines() == [{**given, "exit": 0}], done
        assert {topic for topic, _ in stage.commands} == {"node/n1"}, stage.commands
        assert len({(c["id"], c["op"], c["args"]["incarnation"]) for _, c in stage.commands}) == 1, stage.commands
        assert stage.commands[0][1]["op"] == "drain" and stage.commands[0][1]["args"] == {"incarnation": "n1-1"}, stage.commands
        stage.answer = lambda _: given
        rows = [line.split() for line in stage.cli("drain", "n1").out.splitlines()]
        for row in (["partitions", "3"], ["sessions", "30"], ["refused", "0"], ["ms", "77"], ["n2", "2", "20", "0", "7"],
                    ["n3", "1", "10", "0", "6"]):
            assert row in rows, (row, rows)


def test_drain_says_by_its_exit_code_whether_all_went_well():
    with Lab() as lab:
        stage = Stage(lab).node("n1", {0: 5, 1: 6})
        for moved, refused, others, code, words in (
                (((0, "n2"), (1, "n2")), 0, {"n2": "working"}, 0, ""),
                (((0, "n2"), (1, "n2")), 2, {"n2": "working"}, 1, ""),
                (((0, ""), (1, "")), 0, {}, 0, "no other node was there"),
                (((0, ""), (1, "")), 0, {"n2": "deaf", "n3": "draining"}, 0, "no other node was there"),
                (((0, ""), (1, "")), 0, {"n2": "working"}, 1, "2 partitions went to nobody"),
                (((0, "n2"), (1, "")), 0, {"n2": "deaf"}, 1, "1 partition went to nobody"),
                ((), 0, {}, 0, "")):
            stage.nodes = {"n1": stage.nodes["n1"]}
            for name, phase in others.items():
                stage.node(name, phase=phase)
            stage.answer = lambda _, given=receipt(*moved, refused=refused): given
            done = stage.cli("drain", "n1")
            assert done.code == code and words in done.out, (moved, refused, others, done)
        stage.answer = lambda _: {"error": {"code": "refused", "message": "because of the test", "final": True}}
        assert stage.cli("drain", "n1", "--json").code == 4


def test_drain_of_a_node_that_is_not_heard_sends_nothing():
    with Lab() as lab:
        stage = Stage(lab).node("n2", {0: 5})
        done = stage.cli("drain", "n1")
        assert done.code == 3 and "no node n1 was heard" in done.err and "nothing was sent" in done.err and "n2" in done.err, done
        assert not stage.commands, stage.commands


def test_drain_ends_when_its_receipt_can_no_longer_come():
    with Lab() as lab:
        stage = Stage(lab).node("n1", {0: 5})

        def start_again(_):
            stage.node("n1", {0: 6}, incarnation="n1-2")

        def die(_):
            stage.nodes.pop("n1", None)

        stage.answer = start_again
        done = stage.cli("drain", "n1", "--json")
        assert done.code == 3 and done.lines()[-1]["exit"] == 3 and "started again" in done.out, done
        stage.node("n2").answer = die
        done = stage.cli("drain", "n1")
        assert done.code == 3 and "no longer heard" in done.err and "repeating is safe" in done.err, done
        stage.node("n1").answer = lambda _: None
        done = stage.cli("drain", "n1", "--timeout", "700ms")
        assert done.code == 3 and "none came in time" in done.err and "repeating is safe" in done.err, done


def test_nodes_shows_who_has_what_and_what_is_odd():
    with Lab() as lab:
        stage = Stage(lab).node("n1", {0: 5, 1: 6}, suspended=[1], phase="deaf")
        stage.node("n2", {0: 9, 2: 7}, handing={"0002": ["n1", False, 7]}, load=12).node("n3", expecting=[2])
        done = stage.cli("nodes", "--json")
        n1, n2, n3, hub = done.lines()
        assert done.code == 0 and hub["role"] == "hub", done
        assert [n["node"] for n in (n1, n2, n3)] == ["n1", "n2", "n3"], done
        assert {"owned": 2, "partitions": 4, "sessions": 3, "load": 1, "fence_max": 6, "phase": "deaf"}.items() <= n1.items(), n1
        assert n1["suspicions"] == [{"kind": "lower_fence", "partition": 0, "fence": 5, "other": "n2", "other_fence": 9},
                                    {"kind": "suspended", "partitions": [1]}], n1
        assert not n2["suspicions"] and (n2["handing"], n3["expecting"]) == (1, 1), (n2, n3)
        assert n2["message"]["owned"]["0000"] == ["h", 9, 1] and n2["message"]["handing"]["0002"] == ["n1", False, 7], n2
        text = stage.cli("nodes").out
        rows = [line.split() for line in text.splitlines()]
        assert ["n2", "node", "working", "2/4", "3", "12", "1", "0", "9"] in rows, text
        for words in ("n1 claims 1 partition with no higher fence than n2: 0 (5, n2 has 9)", "n1 holds 1 partition and does not work",
                      "1 of 4 partitions are being handed over", "1 of 4 partitions are owned by nobody: 3"):
            assert words in text, (words, text)


def test_nodes_shows_who_fell_silent_and_who_is_there_twice():
    with Lab() as lab:
        stage = Stage(lab).node("n1", {0: 5}).node("n2").node("n3")
        beats, beat = [], stage.beat

        def count():
            beats.append(time.monotonic())
            if beats[-1] > beats[0] + 0.7:
                stage.nodes.pop("n2", None)
            stage.nodes["n3"]["incarnation"] = f"n3-{len(beats) % 2}"
            beat()

        stage.beat = count
        n1, n2, n3, _ = stage.cli("nodes", "--json").lines()
        assert not n1["suspicions"], n1
        assert [s["kind"] for s in n2["suspicions"]] == ["silent"] and n2["suspicions"][0]["ms"] > 1000, n2
        assert [s["kind"] for s in n3["suspicions"]] == ["same_id"], n3


def test_ps_shows_the_owner_and_its_fence():
    with Lab() as lab:
        partition = binascii.crc_hqx(b"s1", 0) % 4
        stage = Stage(lab).node("n1", {partition: 5}).node("n2", {partition: 9})
        session = {"session": "s1", "partition": partition, "phase": "idle", "active_inputs": 2, "events": 4}
        stage.answer = lambda _: {"node": "n1", "total": 3, "sessions": [session]}
        done = stage.cli("ps", "--json")
        assert done.lines() == [{**session, "node": "n1", "owner": "n2", "owner_fence": 9}], done
        text = stage.cli("ps").out
        assert "owner: n2, fence 9" in text and "2 more on n1" in text, text
        stage.node("n2")
        assert stage.cli("ps", "--json").lines()[0]["fence"] == 5


def test_send_without_an_answer_says_what_stands_in_the_way():
    with Lab() as lab:
        partition = binascii.crc_hqx(b"s1", 0) % 4
        stage = Stage(lab).node("n1", handing={f"{partition:04x}": ["n2", True, 7]})
        for owned, keys, words in (({}, {"handing": {f"{partition:04x}": ["n2", True, 7]}}, "is being handed over by node n1 to n2"),
                                   ({partition: 7}, {"suspended": [partition]}, f"node n1 does not work on partition {partition}"),
                                   ({}, {}, f"no node owns partition {partition} of session s1")):
            stage.node("n1", owned, **keys)
            done = stage.cli("send", "s1", "x", "--timeout", "1s")
            assert done.code == 3 and words in done.err and "repeating with the same id is safe" in done.err, (words, done)
