"""`meerkat why`, with real nodes and with none that answers; `meerkat ctl` with every kind of argument; a service's turn."""
import binascii
import json
import re

from harness import ROOT, Lab, wait_until
from owners import key
from test_control import Person, Stage


def why(lab, session="s1"):
    done = lab.cli("why", session, "--json")
    assert done.code == 0, done
    return done.lines()[-1]["result"]


def test_why_tells_what_a_session_waits_for_and_its_last_failure():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.send(60000, executor="sleep")
        person.send(1)
        told = why(lab)
        assert (told["phase"], told["waits_for"], told["active"], told["attached"]) == ("running", "run", 2, True), told
        assert told["run"]["attempt"] == 1 and told["since_exact"] and told["last_failure"] is None, told
        assert (told["node"], told["partition"]) == ("n1", person.client.partition("s1")), told
        assert told["executor"] == "sleep" and told["for_ms"] <= told["oldest_ms"] + 1000 and told["owned_for_ms"] > 0, told
        failing = Person(lab, "s2")
        failing.outcome(failing.send({"die": True}, executor="fail"))
        told = why(lab, "s2")
        assert (told["waits_for"], told["last_failure"]["error"]) == ("nothing", "executor_failed"), told
        assert told["last_failure"]["will_retry"] is False and told["last_failure"]["ago_ms"] < 30000, told
        nobody = lab.cli("why", "nobody")
        assert nobody.code == 4 and "nobody knows session nobody" in nobody.out, nobody


def test_why_for_people_fits_a_screen():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.send(60000, executor="sleep")
        person.ok("stop")
        done = lab.cli("why", "s1")
        lines = done.out.splitlines()
        assert done.code == 0 and len(lines) == 6 and all(len(line) < 160 for line in lines), done
        for line, words in zip(lines, ("session          s1", "phase            running, registration active, attached to executor sleep",
                                       "waits for        its run to end, to be stopped then", "active inputs    1, the oldest ",
                                       "last failure     none", "owner            node n1, partition ")):
            assert line.startswith(words), (words, done)


def test_why_outlives_the_node_and_says_where_its_knowledge_begins():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab, "s2")
        person.outcome(person.send({"die": True}, executor="fail"))
        waiting = Person(lab)
        waiting.send(60000, executor="sleep")
        run = why(lab)["run"]
        lab.n.kill()
        lab.n.start()
        told = why(lab)
        assert told["run"] == {**run, "attempt": 2} and not told["since_exact"], (run, told)
        assert why(lab, "s2")["last_failure"]["error"] == "executor_failed"


def test_why_of_a_quarantined_session_says_what_is_wrong_with_it():
    with Lab() as lab:
        lab.cluster()
        lab.r.query("HSET", key("s1", "s"), "s1", "no record")
        done = lab.cli("why", "s1", "--json")
        line = done.lines()[-1]
        assert done.code == 4 and line["reason"] == "quarantined", done
        assert line["detail"] == "a session record without its sequences", done
        text = lab.cli("why", "s1").out
        assert "quarantined: a session record without its sequences" in text and "writes nothing of it" in text, text
        refused = lab.cli("send", "s1", "x", "--json", "--timeout", "2s").lines()[-1]
        assert (refused["reason"], refused["detail"]) == ("quarantined", "a session record without its sequences"), refused


def test_why_without_an_answer_says_what_heartbeats_say():
    with Lab() as lab:
        partition = binascii.crc_hqx(b"s1", 0) % 4
        stage = Stage(lab).node("n2", {(partition + 1) % 4: 3})
        for owned, keys, words, owner in (
                ({}, {}, f"nobody claims partition {partition}", {"node": "", "suspended": False}),
                ({partition: 7}, {"suspended": [partition]}, "does not work on it", {"node": "n1", "fence": 7, "suspended": True}),
                ({partition: 9}, {"handing": {f"{partition:04x}": ["n2", False, 9]}}, "handing it to node n2",
                 {"node": "n1", "fence": 9, "successor": "n2"})):
            stage.node("n1", owned, **keys)
            done = stage.cli("why", "s1", "--timeout", "1s")
            assert done.code == 3 and words in done.out and "none within 1000 ms" in done.out, (words, done)
            line = stage.cli("why", "s1", "--timeout", "1s", "--json").lines()[-1]
            assert line["exit"] == 3 and line["partition"] == partition and owner.items() <= line["owner"].items(), (owner, line)


def test_ctl_takes_every_kind_of_argument():
    with Lab() as lab:
        lab.cluster()
        assert lab.cli("send", "s1", "x", "--wait").code == 0
        for words, data in ((("silent_intents", 'intents=["review","ping"]'), {"intents": 2}),
                            (("set_session_silent_intents", "intents=ping"), {"intents": 1}),
                            (("silent_intents", "intents=[]"), {"intents": 0}),
                            (("transcript_edit", "running=true"), {"verdict": "denied_busy"}),
                            (("transcript_edit", "running=false", "active_inputs=false"), {"verdict": "admissible"}),
                            (("receipt", "run=0", "sequence=3"), {"receipt": None}),
                            (("runtime_state",), {"phase": "attached"}),
                            (("contains_session",), {"contains": True}),
                            (("session_has_executor",), {"has_executor": True}),
                            (("start_conversation_run", "run=1e5", "timeout_ms=4000"), {"run": "1e5", "timeout_ms": 4000}),
                            (("commit_service_turn_terminal_receipt", "run=1e5"), {"run": "1e5", "phase": "attached"})):
            done = lab.cli("ctl", "s1", *words, "--json")
            assert done.code == 0 and data.items() <= done.lines()[-1]["result"].items(), (words, done)
        for words in (("transcript_edit", "running=5"), ("silent_intents", "intents=[[]]"), ("retire", 'reason={"a":1}'),
                      ("start_conversation_run", "run=r", "timeout_ms=soon"), ("dance",), ("retire", "colour=red")):
            assert lab.cli("ctl", "s1", *words).code == 2, words


def test_ctl_ingests_an_input_and_a_rejection_is_told_by_the_exit_code():
    with Lab() as lab:
        lab.cluster()
        unknown = lab.cli("ctl", "s1", "ingest", 'input={"id":"i-1","body":"hello"}', "--json")
        assert unknown.code == 4 and unknown.lines()[-1]["reason"] == "not_found", unknown
        assert lab.cli("ctl", "s1", "register").code == 0
        done = lab.cli("ctl", "s1", "ingest", 'input={"id":"i-1","body":{"a":[1,null]}}', "--json")
        assert done.code == 0 and done.lines()[-1]["result"] == {"outcome": "accepted", "phase": "queued"}, done
        became = wait_until(lambda: (o := lab.cli("outcome", "s1", "i-1", "--json")).code == 0 and o, 10, "it ran")
        assert became.lines()[-1]["result"]["completion"]["result"] == {"a": [1, None]}, became
        rejected = lab.cli("ctl", "s1", "ingest", "input=" + json.dumps({"id": "i-2", "after": "never"}), "--json")
        assert rejected.code == 4 and rejected.lines()[-1]["result"]["reason"] == "not_known_yet", rejected
        for wrong, reason in (('{"body":1}', "missing_field"), ('{"id":"i","kind":"song"}', "invalid_field"),
                              ('{"id":"i","session":"s2"}', "wrong_partition")):
            line = lab.cli("ctl", "s1", "ingest", "input=" + wrong, "--json", "--timeout", "1s").lines()[-1]
            assert line["reason"] == reason, (wrong, line)


def test_a_service_turn_holds_inputs_back_and_is_given_up_in_time():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        person.ok("register")
        person.ok("start_conversation_run", {"run": "turn", "timeout_ms": 1500})
        assert why(lab)["waits_for"] == "service_turn"
        held = person.send("later")
        person.refused("commit_service_turn_terminal_receipt", "invalid_state", {"run": "turn"})
        assert person.phase() == "running"
        assert person.outcome(held)["result"] == "later"  # nobody ended it
        told = why(lab)
        assert (told["waits_for"], told["last_failure"]["error"]) == ("nothing", "deadline_passed"), told


def test_an_interrupt_that_was_answered_outlives_its_node():
    with Lab() as lab:
        lab.cluster()
        person = Person(lab)
        message = person.send(60000, executor="sleep")
        assert person.ok("cancel_after_boundary")["cancelled"]
        lab.n.kill()
        lab.n.start()
        assert person.outcome(message)["outcome"] == "cancelled"


def test_the_help_of_ctl_names_every_operation_of_the_protocol():
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    tables = page[page.index("\nMutating:\n"):page.index("\nThe answer to `why`:")]
    operations = re.findall(r"^\| `(\w+)`", tables, re.MULTILINE)
    with Lab() as lab:
        text = lab.cli("ctl", "--help").out
        assert len(operations) > 30 and not [op for op in operations if f"\n  {op} " not in text], (operations, text)
