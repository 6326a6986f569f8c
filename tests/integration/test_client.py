"""The promises, seen by a client that shares no code with the project (meerkat_client.py)."""
import time

from harness import Lab
from load import Load


def test_it_sends_repeats_awaits_and_replays():
    with Lab() as lab:
        lab.cluster()
        client = lab.client(watch=["s1"])
        message = client.input("s1", {"text": "hello"})
        admission = client.ask(message, "admission")
        assert admission["outcome"] == "accepted" and admission["durability"] == "durable", admission
        done = client.ask(message, "completion")
        assert (done["outcome"], done["result"], done["input"]) == ("completed", {"text": "hello"}, message["id"]), done
        again = client.ask(message, "admission")
        assert again["outcome"] == "deduplicated" and again["existing"] == message["id"], again
        assert again["completion"] == done, again
        events = client.replay("s1")
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1)), events
        assert done in events, events
        assert [e["name"] for e in events if e["t"] == "effect"][:2] == ["runtime_bound", "run_started"], events
        assert client.replay("s1", first=2) == events[1:]


def test_a_load_keeps_every_promise_and_watchers_see_all_of_it():
    with Lab() as lab:
        lab.cluster()
        load = Load(lab.client(watch="*"), window=500).add_counters(1500, 40).finish()
        live = {session: set(numbers) for session, numbers in load.history.events.items()}
        load.check()
        for session, numbers in load.history.events.items():
            missing = set(numbers) - live.get(session, set())
            assert not missing, f"{session}: only in the replay: {sorted(missing)[:5]}"


def test_the_same_id_with_another_body_is_a_conflict():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        message = client.input("s1", "one")
        assert client.ask(message, "completion")["outcome"] == "completed"
        refused = client.ask({**message, "body": "two"}, "admission")
        assert (refused["outcome"], refused["reason"], refused["final"]) == ("rejected", "id_conflict", True), refused


def test_an_idempotency_key_is_admitted_once():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        first = client.input("s1", 5, executor="counter", idem="k")
        done = client.ask(first, "completion")
        other = client.ask(client.input("s1", 5, executor="counter", idem="k"), "admission")
        assert (other["outcome"], other["existing"]) == ("deduplicated", first["id"]), other
        assert other["completion"] == done, other
        last = client.ask(client.input("s1", 1, executor="counter"), "completion")
        assert last["result"] == {"value": 6}, last


def test_a_burst_of_repeats_counts_once():
    with Lab() as lab:
        lab.cluster()
        client = lab.client(watch=["s1"])
        messages = [client.input("s1", 1, executor="counter") for _ in range(20)]
        for _ in range(5):
            client.publish(messages + messages)
            for message in messages[:5]:
                client.publish([message])
        for message in messages:
            assert client.ask(message, "completion")["outcome"] == "completed"
        last = client.ask(client.input("s1", 1, executor="counter"), "completion")
        assert last["result"] == {"value": 21}, last
        completions = [e for e in client.replay("s1") if e["t"] == "completion"]
        assert len(completions) == 21, completions


def test_a_failed_run_is_tried_again_in_its_place():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        messages = [client.input("f", {"fail": 1, "n": n}, executor="fail") for n in range(5)]
        client.publish(messages)
        done = [client.ask(message, "completion") for message in messages]
        assert [d["outcome"] for d in done] == ["completed"] * 5, done
        assert [d["seq"] for d in done] == sorted(d["seq"] for d in done), done
        failed = [e for e in client.replay("f") if e.get("name") == "run_failed"]
        assert failed and all(e["data"]["will_retry"] for e in failed), failed


def test_an_input_that_always_fails_is_abandoned_and_its_neighbours_are_not():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        messages = [client.input("f", body, executor="fail") for body in ({"fail": 0}, {"die": True}, {"fail": 0})]
        client.publish(messages)
        outcomes = [client.ask(message, "completion", timeout=15)["outcome"] for message in messages]
        assert outcomes == ["completed", "abandoned_with_error", "completed"], outcomes


def test_steer_goes_before_queue():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        first = client.input("s1", 700, executor="sleep")
        assert client.ask(first, "admission")["outcome"] == "accepted"
        queued, steered = client.input("s1", 1, handling="queue"), client.input("s1", 2, handling="steer")
        for message in (queued, steered):
            assert client.ask(message, "admission")["outcome"] == "accepted"
        numbers = [client.ask(message, "completion")["seq"] for message in (first, steered, queued)]
        assert numbers == sorted(numbers), numbers


def test_an_input_past_its_deadline_is_never_run():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        assert client.ask(client.input("s1", 900, executor="sleep"), "admission")["outcome"] == "accepted"
        late = client.input("s1", 1, deadline_ms=200)
        done = client.ask(late, "completion")
        assert done["outcome"] == "abandoned_with_error", done
        assert "deadline_passed" in (done.get("reason"), done.get("error", {}).get("kind")), done


def test_an_input_after_one_that_is_not_known_waits_for_it():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        first = client.input("s1", "first")
        second = client.input("s1", "second", after=first["id"])
        early = client.ask(second, "admission", timeout=1.0)
        assert (early["outcome"], early["reason"], early.get("final", False)) == ("rejected", "not_known_yet", False), early
        assert client.ask(first, "completion")["result"] == "first"
        assert client.ask(second, "completion")["result"] == "second"


def test_a_message_for_the_wrong_partition_is_answered_with_the_right_count():
    with Lab() as lab:
        lab.cluster()
        client = lab.client(partitions=7)
        refused = client.ask(client.input("some-session", "x"), "admission", timeout=5)
        assert refused["outcome"] == "rejected" and refused["reason"] == "wrong_partition", refused
        assert "256" in str(refused), refused


def test_what_became_of_an_input_can_be_asked():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        done_message, running = client.input("s1", "x", idem="k"), client.input("s2", 20000, executor="sleep")
        done = client.ask(done_message, "completion")
        assert client.ask(running, "admission")["outcome"] == "accepted"
        by_id = client.ask(client.command("s1", "outcome", {"id": done_message["id"]}), "result")
        by_key = client.ask(client.command("s1", "outcome", {"idem": "k"}), "result")
        assert by_id["ok"] and by_key["ok"] and done["outcome"] in str(by_id) and done["outcome"] in str(by_key), (by_id, by_key)
        flying = client.ask(client.command("s2", "outcome", {"id": running["id"]}), "result")
        assert flying["ok"] and "flight" in str(flying["data"]), flying
        never = client.ask(client.command("s2", "outcome", {"id": "never-sent"}), "result")
        assert "never" in str(never["data"]), never


def test_a_withdrawn_input_never_runs():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        withdrawn = client.ask(client.command("s1", "withdraw", {"id": "w1"}), "result")
        assert withdrawn["ok"], withdrawn
        refused = client.ask({**client.input("s1", "x"), "id": "w1"}, "admission")
        assert (refused["outcome"], refused["reason"], refused["final"]) == ("rejected", "withdrawn", True), refused


def test_the_clock_of_a_late_repeat_is_its_first_sending():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        message = client.input("s1", 3, executor="counter")
        assert client.ask(message, "completion")["result"] == {"value": 3}
        again = client.ask({**message, "ts": int(time.time() * 1000) + 5000}, "completion")
        assert again["result"] == {"value": 3}, again
