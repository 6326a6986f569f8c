"""Every wrong use gives one line that helps, and its exit code."""
from harness import Lab, binary

NODE, HUB, CLI = "meerkat-node", "meerkat-hub", "meerkat"

# program, arguments, what the line must name
WRONG = [
    (NODE, ["--bogus"], ["--bogus"]),
    (NODE, ["--partitions", "many"], ["--partitions", "many"]),
    (NODE, ["--partitions", "0"], ["--partitions", "0"]),
    (NODE, ["--lease-ms", "10"], ["--lease-ms", "10", "500"]),
    (NODE, ["--lease-ms"], ["--lease-ms"]),
    (NODE, ["--store", "mysql://x"], ["mysql", "memory:", "redis://", "unix:"]),
    (NODE, ["--bus", "carrier-pigeon://x"], ["--bus", "carrier-pigeon"]),
    (NODE, ["--executor", "x=builtin:nothing"], ["nothing", "echo"]),
    (NODE, ["--executor", "nonsense"], ["--executor", "nonsense"]),
    (NODE, ["--default-executor", "absent"], ["absent"]),
    (NODE, ["--http", "nowhere"], ["--http", "nowhere"]),
    (NODE, ["--log-level", "loud"], ["--log-level", "loud", "debug"]),
    (NODE, ["--log-format", "xml"], ["xml", "logfmt", "json"]),
    (NODE, ["--node-id", "a b"], ["--node-id"]),
    (HUB, ["--bogus"], ["--bogus"]),
    (HUB, ["--listen", "tcp://nowhere"], ["--listen", "nowhere"]),
    (CLI, ["frobnicate"], ["frobnicate", "send"]),
    (CLI, ["send"], ["SESSION"]),
    (CLI, ["send", "bad session", "x"], ["bad session"]),
    (CLI, ["send", "s1", "x", "--bogus"], ["--bogus"]),
    (CLI, ["send", "s1", "x", "--timeout", "soon"], ["--timeout", "soon"]),
    (CLI, ["send", "s1", "x", "--kind", "wish"], ["wish", "prompt"]),
    (CLI, ["send", "s1", "x", "--handling", "slowly"], ["slowly", "queue", "steer"]),
    (CLI, ["ctl", "s1"], ["OP"]),
    (CLI, ["ctl", "s1", "frobnicate"], ["frobnicate"]),
    (CLI, ["ctl", "s1", "drain"], ["drain", "of a node"]),
    (CLI, ["ctl", "s1", "events", "from=start"], ["from", "start"]),
    (CLI, ["ctl", "s1", "outcome", "id=a", "id=b"], ["id", "b", "second"]),
    (CLI, ["ctl", "s1", "outcome", 'id=["a","b"]'], ["id", "b", "second"]),
    (CLI, ["ctl", "s1", "ingest"], ["ingest", "input"]),
    (CLI, ["ctl", "s1", "ingest", "input=5"], ["input", "JSON object"]),
    (CLI, ["ctl", "s1", "state", 'input={"id":"i"}'], ["state", "input"]),
    (CLI, ["show", "bad session"], ["bad session"]),
    (CLI, ["watch", "bad session"], ["bad session"]),
    (CLI, ["watch", "s1", "--from", "start"], ["--from", "start"]),
    (CLI, ["outcome", "s1"], ["ID"]),
]


def test_every_wrong_use_gets_one_helpful_line():
    wrong = []
    nowhere = {"MEERKAT_BUS": "tcp://127.0.0.1:1"}  # a wrong use is told without a hub
    with Lab() as lab:
        for program, args, words in WRONG:
            end = lab.run(binary(program), *args, seconds=5, env=nowhere if program == CLI else None)
            lines = [line for line in end.err.splitlines() if line.strip()]
            if end.code != 2 or len(lines) != 1 or not all(word in end.err for word in words):
                wrong.append(f"{program} {' '.join(args)}: wanted exit 2 and one line with {words}, got {end}")
    assert not wrong, "\n".join(wrong)


def test_a_taken_http_address_is_refused():
    with Lab() as lab:
        taken = lab.hub().ready["http"]
        end = lab.run(binary(HUB), "--listen", "tcp://127.0.0.1:0", "--http", taken, seconds=5)
        assert end.code == 2 and "--http" in end.err and taken in end.err, end


def test_flags_have_environment_twins():
    with Lab() as lab:
        end = lab.run(binary(NODE), env={"MEERKAT_LEASE_MS": "10"})
        assert end.code == 2 and "MEERKAT_LEASE_MS" in end.err and "500" in end.err, end
        end = lab.run(binary(NODE), env={"MEERKAT_STORE": "mysql://x"})
        assert end.code == 2 and "mysql" in end.err, end


def test_help_and_version_go_to_stdout():
    with Lab() as lab:
        for program, word in ((NODE, "--store"), (HUB, "--listen"), (CLI, "send")):
            end = lab.run(binary(program), "--help")
            assert end.code == 0 and word in end.out and not end.err, end


REFUSED = [
    ("a policy that evicts", ["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"], "noeviction"),
    ("no persistence", ["--appendonly", "no"], "appendonly yes"),
]


def test_a_redis_that_would_lose_data_is_refused_with_the_remedy():
    with Lab() as lab:
        lab.h = lab.hub()
        for i, (what, options, remedy) in enumerate(REFUSED):
            redis = lab.redis(f"redis{i}", options)
            end = lab.run(binary(NODE), "--store", redis.store, "--bus", lab.h.bus, "--http", "127.0.0.1:0")
            assert end.code == 5 and remedy in end.err, (what, end)


def test_a_store_that_is_not_there_is_awaited_and_memory_never_takes_its_place():
    with Lab() as lab:
        lab.h = lab.hub()
        node = lab.node(f"unix:{lab.path}/redis/sock", lab.h.bus, wait=False)
        client = lab.client()
        message = client.input("s1", "hello")
        assert client.ask(message, "admission", timeout=1.5) is None
        assert node.running() and not node.text() and "memory" not in node.log(), node.log()
        redis = lab.redis()
        node.wait_ready()
        assert client.ask(message, "completion")["result"] == "hello"
        assert int(redis.query("DBSIZE")) > 0


def test_another_partition_count_is_refused():
    with Lab() as lab:
        lab.cluster()
        lab.n.terminate()
        lab.n.wait(10)
        end = lab.run(binary(NODE), "--store", lab.r.store, "--bus", lab.h.bus, "--http", "127.0.0.1:0", "--partitions", "128")
        assert end.code == 5 and "256" in end.err and "--partitions" in end.err, end
