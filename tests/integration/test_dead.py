"""Dead letters: what was abandoned is kept, told with its reason and body, and can be published again."""
from harness import Lab
from owners import key
from wire import pack

DIE = '{"die": true}'


def letters(lab, *args):
    done = lab.cli("dead", *args, "--json")
    assert done.code == 0, done
    return done.lines()


def test_an_abandoned_input_is_told_with_reason_and_body_and_redriven():
    with Lab() as lab:
        lab.cluster(node_options=("--executor", "mend=builtin:fail"))
        died = lab.cli("send", "s1", DIE, "--executor", "fail", "--id", "x", "--idem", "k", "--wait", "--json")
        assert died.code == 1, died
        (letter,) = letters(lab, "s1")
        assert letter["session"] == "s1" and letter["id"] == "x" and letter["body"] == {"die": True}, letter
        assert letter["reason"] == "max_attempts_exhausted" and letter["error"] == "executor_failed", letter
        assert letter["attempts"] == 3 and letter["outcome"] == "abandoned_with_error" and "redriven" not in letter, letter
        text = lab.cli("dead", "s1")
        assert text.code == 0 and "max_attempts_exhausted" in text.out and "REDRIVEN AS" in text.out, text
        again = lab.cli("dead", "s1", "x", "--redrive", "--wait", "--json")
        assert again.code == 1 and again.lines()[-1]["id"] == "x~1", again
        assert again.lines()[-1]["outcome"] == "abandoned_with_error", again
        twice = lab.cli("dead", "s1", "x", "--redrive", "--wait", "--json")
        assert twice.code == 1 and twice.lines()[-1]["deduplicated"], twice
        assert [one["id"] for one in letters(lab, "s1")] == ["x", "x~1"], letters(lab, "s1")
        assert letters(lab, "s1", "x")[0]["redriven"] == "x~1 abandoned_with_error"
        first = lab.cli("outcome", "s1", "x", "--json").lines()[-1]["result"]["completion"]
        assert first == died.lines()[-1]["message"], (first, died)
        third = lab.cli("dead", "s1", "x~1", "--redrive", "--json")
        assert third.code == 0 and third.lines()[-1]["id"] == "x~2" and third.lines()[-1]["outcome"] == "accepted", third


def test_what_a_publisher_calls_its_input_never_reaches_a_terminal_as_it_is():
    with Lab() as lab:
        lab.cluster()
        name = "x\x1b[31m\x07\x9b1m"
        sent = lab.cli("send", "s1", DIE, "--executor", "fail", "--id", name, "--wait")
        shown = [sent, lab.cli("dead"), lab.cli("dead", "s1", name), lab.cli("dead", "s1", name, "--redrive", "--wait"),
                 lab.cli("dead", "s1"), lab.cli("ctl", "s1", "input_state", "id=" + name)]
        assert lab.cli("send", "s2", "20000", "--executor", "sleep", "--id", name).code == 0
        shown.append(lab.cli("why", "s2"))
        shown.append(lab.cli("watch", "s1", "--from", "1", "--count", "8"))
        for one in shown:
            assert "x?[31m???1m" in one.out and not any(c in one.out + one.err for c in "\x1b\x07\x9b"), one
        assert letters(lab, "s1")[0]["id"] == name


def test_what_its_publisher_gave_up_is_no_dead_letter():
    with Lab() as lab:
        lab.cluster()
        assert lab.cli("send", "s1", "20000", "--executor", "sleep", "--id", "running").code == 0
        assert lab.cli("send", "s1", "20000", "--id", "waiting").code == 0
        assert lab.cli("ctl", "s1", "withdraw", "id=waiting").code == 0
        assert lab.cli("ctl", "s1", "interrupt").code == 0
        assert lab.cli("send", "s1", "0", "--id", "done", "--wait").code == 0
        assert lab.cli("outcome", "s1", "running").code == 1
        assert letters(lab, "s1") == []
        missing = lab.cli("dead", "s1", "running", "--redrive")
        assert missing.code == 1 and "no dead letter" in missing.err, missing


def test_letters_of_every_reason_are_told_by_every_node():
    with Lab() as lab:
        lab.nodes("n1", "n2")
        for session in ("a", "b", "c", "d", "e"):
            assert lab.cli("send", session, "20000", "--executor", "sleep", "--id", "first").code == 0
            assert lab.cli("send", session, "kept", "--id", "second").code == 0
            assert lab.cli("ctl", session, "destroy").code == 0
        found = letters(lab)
        assert sorted((one["session"], one["id"]) for one in found) == [(s, i) for s in "abcde" for i in ("first", "second")]
        assert {one["reason"] for one in found} == {"destroyed"}, found
        assert len(letters(lab, "--limit", "3")) == 3
        all_of_one = lab.cli("dead", "a", "--redrive", "--all", "--json")
        assert all_of_one.code == 4 and all_of_one.lines()[-1]["not_redriven"] == 2, all_of_one  # it is destroyed


def test_a_redriven_body_is_the_same_byte_for_byte():
    with Lab() as lab:
        lab.cluster()
        client = lab.client(watch=["s1"])
        # ext, bin, a float32, a key that is no text, an integer wider than it need be
        body = b"\x85\xa3die\xc3\xa1e\xd4\x05\x01\xa1b\xc4\x02\x00\xff\x07\xca\x3f\x80\x00\x00\xa1w\xcd\x00\x01"
        message = client.input("s1", None, executor="fail", id="x")
        packed = pack(message)
        assert packed[0] & 0xF0 == 0x80, packed[:1]
        frame = bytes([packed[0] + 1]) + packed[1:] + b"\xa4body" + body
        client.publish_frame(f"in/{client.partition('s1'):04x}/s1".encode() + b"\0" + frame)
        done = lab.cli("send", "s1", "0", "--id", "behind", "--wait", seconds=30)
        assert done.code == 0, done
        assert lab.cli("dead", "s1", "x", "--redrive", "--wait").code == 1
        entries = lab.r.query("XRANGE", key("s1", "d"), "-", "+")
        stored = [fields[1] for _, fields in entries]
        assert len(stored) == 2 and all(body in letter for letter in stored), stored


def test_wrong_uses_are_refused_before_anything_is_sent():
    with Lab() as lab:
        lab.h = lab.hub()
        for words in (["a", "b", "c"], ["a", "--redrive"], ["a", "b", "--redrive", "--all"], ["a", "--wait"], ["--all"],
                      ["--limit", "0"]):
            assert lab.cli("dead", *words).code == 2, words
        nobody = lab.cli("dead", "--timeout", "1s")
        assert nobody.code == 3 and "no node" in nobody.err, nobody


def test_an_id_that_would_grow_too_long_cannot_be_redriven():
    with Lab() as lab:
        lab.cluster()
        name = "n" * 63
        assert lab.cli("send", "s1", DIE, "--executor", "fail", "--id", name, "--wait").code == 1
        refused = lab.cli("dead", "s1", name, "--redrive")
        assert refused.code == 1 and "64 bytes" in refused.err, refused
