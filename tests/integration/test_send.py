"""The way of an input, as a person at the command line sees it."""
import json

from harness import Lab, wait_until


def test_an_input_is_echoed_through_hub_node_and_redis():
    with Lab() as lab:
        lab.cluster()
        done = lab.cli("send", "s1", "hello", "--wait")
        assert done.code == 0 and "hello" in done.out and "completed" in done.out, done
        last = lab.cli("send", "s1", '{"a": [1, 2.5, null, true]}', "--wait", "--json").lines()[-1]
        assert last["t"] == "completion" and last["outcome"] == "completed", last
        assert last["result"] == {"a": [1, 2.5, None, True]} and last["session"] == "s1", last


def test_send_alone_awaits_the_admission_only():
    with Lab() as lab:
        lab.cluster()
        done = lab.cli("send", "s1", "20000", "--executor", "sleep", "--json")
        assert done.code == 0, done
        lines = done.lines()
        assert lines[-1]["t"] == "admission" and lines[-1]["outcome"] == "accepted", lines
        assert lines[-1]["durability"] == "durable", lines


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
        assert "destroyed" in lab.cli("send", "s1", "x", "--timeout", "3s").err


def test_no_answer_says_whether_repeating_is_safe():
    with Lab() as lab:
        lab.h = lab.hub()
        late = lab.cli("send", "s1", "x", "--timeout", "1s")
        assert late.code == 3 and "safe" in late.err and "own" in late.err, late


def test_watch_replays_from_a_number_and_goes_on():
    with Lab() as lab:
        lab.cluster()
        for body in ("one", "two"):
            assert lab.cli("send", "s1", body, "--wait").code == 0
        watcher = lab.cli_start("watch", "watch", "s1", "--from", "1", "--json")
        wait_until(lambda: "two" in watcher.text(), 10, "watch replays")
        assert lab.cli("send", "s1", "three", "--wait").code == 0
        wait_until(lambda: "three" in watcher.text(), 10, "watch goes on")
        numbers = [json.loads(line).get("seq") for line in watcher.text().splitlines()]
        numbers = [n for n in numbers if n]
        assert numbers == list(range(1, len(numbers) + 1)), numbers


def test_outcome_show_ps_and_nodes_answer():
    with Lab() as lab:
        lab.cluster()
        assert lab.cli("send", "s1", "hello", "--id", "i1", "--wait").code == 0
        known = lab.cli("outcome", "s1", "i1", "--json")
        assert known.code == 0 and "completed" in known.out, known
        never = lab.cli("outcome", "s1", "nobody-sent-this", "--json")
        assert never.code in (0, 1) and "never" in never.out, never
        for words in (["show", "s1"], ["ps"], ["nodes"]):
            answer = lab.cli(*words, "--json")
            assert answer.code == 0 and answer.lines(), answer
        assert "s1" in lab.cli("ps").out
        assert "n1" in lab.cli("nodes").out
