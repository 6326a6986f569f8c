"""The way of an input, as a person at the command line sees it."""
import json

from harness import Lab, wait_until


def test_an_input_is_echoed_through_hub_node_and_redis():
    with Lab() as lab:
        lab.cluster()
        done = lab.cli("send", "s1", "hello", "--wait")
        assert done.code == 0 and "hello" in done.out and "completed" in done.out, done
        lines = lab.cli("send", "s1", '{"a": [1, 2.5, null, true]}', "--wait", "--json").lines()
        assert [line["event"] for line in lines] == ["admitted", "end"], lines
        last = lines[-1]
        assert last["message"]["t"] == "completion" and last["outcome"] == "completed" and last["exit"] == 0, last
        assert last["result"] == {"a": [1, 2.5, None, True]} and last["session"] == "s1", last


def test_send_alone_awaits_the_admission_only():
    with Lab() as lab:
        lab.cluster()
        done = lab.cli("send", "s1", "20000", "--executor", "sleep", "--json")
        assert done.code == 0, done
        lines = done.lines()
        assert len(lines) == 1 and lines[0]["outcome"] == "accepted", lines
        assert lines[0]["message"]["t"] == "admission" and lines[0]["message"]["durability"] == "durable", lines


def test_the_body_may_come_on_standard_input():
    with Lab() as lab:
        lab.cluster()
        done = lab.cli("send", "s1", "-", "--wait", "--json", stdin='{"from": "stdin"}')
        assert done.code == 0 and done.lines()[-1]["result"] == {"from": "stdin"}, done


def test_a_repeated_id_and_a_repeated_key_are_deduplicated():
    with Lab() as lab:
        lab.cluster()
        for extra in (["--id", "i1"], ["--idem", "k1"]):
            first = lab.cli("send", "s1", "7", "--executor", "counter", "--wait", "--json", *extra)
            again = lab.cli("send", "s1", "7", "--executor", "counter", "--wait", "--json", *extra)
            assert first.code == again.code == 0, (first, again)
            assert first.lines()[-1]["result"] == again.lines()[-1]["result"], (first, again)
        last = lab.cli("send", "s1", "1", "--executor", "counter", "--wait", "--json").lines()[-1]
        assert last["result"] == {"value": 15}, last


def test_exit_codes_tell_the_outcome():
    with Lab() as lab:
        lab.cluster()
        died = lab.cli("send", "f", '{"die": true}', "--executor", "fail", "--wait", "--json")
        assert died.code == 1 and died.lines()[-1]["outcome"] == "abandoned_with_error", died
        assert lab.cli("ctl", "s1", "register").code == 0
        assert lab.cli("ctl", "s1", "destroy").code == 0
        rejected = lab.cli("send", "s1", "x", "--timeout", "3s", "--json")
        assert rejected.code == 4 and rejected.lines()[-1]["reason"] == "destroyed", rejected
        assert "destroyed" in lab.cli("send", "s1", "x", "--timeout", "3s").out
        for done in (died, rejected):
            assert done.lines()[-1]["exit"] == done.code, done


def test_no_answer_says_whether_repeating_is_safe():
    with Lab() as lab:
        lab.h = lab.hub()
        late = lab.cli("send", "s1", "x", "--timeout", "1s")
        assert late.code == 3 and "no node" in late.err and "safe" in late.err, late
        for verb in (["send", "s1", "x"], ["ctl", "s1", "state"], ["watch", "s1"], ["ps"]):
            alone = lab.cli(*verb, "--timeout", "500ms", bus="tcp://127.0.0.1:1")
            assert alone.code == 3 and "no hub" in alone.err and "safe" in alone.err, alone


def test_watch_replays_from_a_number_and_goes_on():
    with Lab() as lab:
        lab.cluster()
        for body in ("one", "two"):
            assert lab.cli("send", "s1", body, "--wait").code == 0
        watcher = lab.cli_start("watch", "watch", "s1", "--from", "1", "--json")
        wait_until(lambda: "two" in watcher.text(), 10, "watch replays")
        assert lab.cli("send", "s1", "three", "--wait").code == 0
        wait_until(lambda: '"three"' in watcher.text(), 10, "watch goes on")
        numbers = [json.loads(line)["message"]["seq"] for line in watcher.text().splitlines()]
        assert numbers == list(range(1, len(numbers) + 1)), numbers
        some = lab.cli("watch", "s1", "--from", "2", "--count", "3", "--json").lines()
        assert [line["message"]["seq"] for line in some] == [2, 3, 4], some


def test_outcome_says_what_became_of_an_input():
    with Lab() as lab:
        lab.cluster()
        assert lab.cli("send", "s1", "hello", "--id", "i1", "--wait").code == 0
        assert lab.cli("send", "s2", "60000", "--executor", "sleep", "--id", "i2").code == 0
        for session, i, code, word in (("s1", "i1", 0, "completed"), ("s2", "i2", 3, "in_flight"), ("s1", "i3", 3, "never_seen")):
            done = lab.cli("outcome", session, i, "--json")
            assert done.code == code and word in done.out, done
            assert done.lines()[-1]["exit"] == code, done


def test_show_ps_and_nodes_tell_what_there_is():
    with Lab() as lab:
        lab.cluster()
        assert lab.cli("send", "s1", "hello", "--wait").code == 0
        assert lab.cli("show", "s1", "--json").lines()[-1]["result"]["phase"] == "attached"
        sessions = lab.cli("ps", "--json").lines()
        assert [(s["session"], s["phase"], s["node"]) for s in sessions] == [("s1", "attached", "n1")], sessions
        members = lab.cli("nodes", "--json").lines()
        assert [(m["role"], m.get("owned")) for m in members] == [("node", 256), ("hub", None)], members
