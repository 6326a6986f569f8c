"""`meerkat-node --print-machine`: the transitions that the program has are those of semantics-core.md 1.3, and no others."""
import os
import subprocess

from harness import Lab, binary

NODE = "meerkat-node"
COLUMNS = ["input", "from", "guards", "effects", "to", "updates"]
PHASES = {"In": "Initializing", "Id": "Idle", "At": "Attached", "Ru": "Running", "Re": "Retired", "St": "Stopped", "De": "Destroyed"}

# Read from the page by hand: an input, the phases that it is taken in, and where it leads: "=" the phase stays, "pre_run" back to
# where the run began, "given" the phase that the input names.
EXPECTED = """
Initialize                              In                  Id
RegisterSession                         Id At Ru Re St      =
BeginUnregisterSession                  Id At Ru Re St      =
RuntimeLoopStoppedForUnregister         Id At Ru Re St      =
CommsDrainExitedForUnregister           Id At Ru Re St      =
CompletionWaitersResolvedForUnregister  Id At Ru Re St      =
UnregisterSession                       Id At Ru Re St      Id
ResolveRuntimeOpsLifecycleDurability    Id At Ru Re St      =
PrepareBindings                         In Id At Ru Re St   =
PrepareBindings                         Id                  At
EnsureSessionWithExecutor               Id                  At
EnsureSessionWithExecutor               At Ru Re St         =
RuntimeExecutorExited                   Id At Ru            St
RuntimeExecutorExited                   Re St               =
Prepare                                 Id At               Ru
DrainQueuedRun                          Re                  Ru
StartConversationRun                    In Id At Ru         Ru
RunCompleted                            Ru                  =
RunFailed                               Ru                  =
RunCancelled                            Ru                  =
Commit                                  Ru                  pre_run
Fail                                    Ru                  pre_run
CancelRun                               Ru                  pre_run
RollbackRun                             Ru                  pre_run
ServiceTurnCommitted                    Ru                  pre_run
AcceptWithCompletion                    Id At Ru            =
AcceptWithoutWake                       Id At Ru            =
InterruptCurrentRun                     At Ru               =
CancelAfterBoundary                     At Ru               =
StopRuntimeExecutor                     In Id Re At Ru      =
Retire                                  Id At Re            Re
Reset                                   In Id At Re         Id
Recycle                                 Id Re               Id
Recycle                                 At                  =
Recover                                 In Id At Re St      =
Destroy                                 In Id At Ru Re St   De
ResolveTranscriptEditAdmission          Id At Ru            =
SetSilentIntents                        Id At Ru Re St      =
Ingest                                  Id At Ru            =
PublishEvent                            Id At Ru Re St      =
RecoverRuntimeAuthority                 In                  given
"""

# What the design adds to the page (its section 10).
OURS = """
Retire                                  Ru                  =         # D2: the run goes on, over Retired
RuntimeExecutorExited                   Ru                  Re        # D2: so it ends when its executor leaves
Revive                                  St                  Id        # D5
Rebind                                  Id At Re St Ru      =         # D15
"""


def settled(transitions):
    """A phase that leads to itself stays."""
    return {(name, source, "=" if source == to else to) for name, source, to in transitions}


def expected():
    found = set()
    for line in (EXPECTED + OURS).splitlines():
        name, *phases, to = line.partition("#")[0].split() or [None, None]
        found |= {(name, PHASES[phase], PHASES.get(to, to)) for phase in phases}
    return settled(found)


def printed(text):
    lines = [line.split("\t") for line in text.splitlines()]
    assert lines[0] == COLUMNS, lines[0]
    assert all(len(line) == len(COLUMNS) and all(line) for line in lines), [line for line in lines if len(line) != len(COLUMNS)]
    rows = [dict(zip(COLUMNS, line)) for line in lines[1:]]
    return rows, settled({(row["input"], source, row["to"]) for row in rows for source in row["from"].split(",")})


def test_the_printed_machine_is_that_of_the_semantics_page():
    with Lab() as lab:
        end = lab.run(binary(NODE), "--print-machine", seconds=5)
        assert end.code == 0 and not end.err, end
        rows, transitions = printed(end.out)
        missing, more = expected() - transitions, transitions - expected()
        assert not missing and not more, f"missing: {sorted(missing)}\nnot on the page: {sorted(more)}"
        assert {"input": "Initialize", "from": "Initializing", "guards": "-", "effects": "-", "to": "Idle", "updates": "-"} in rows
        bound = {row["to"] for row in rows if row["effects"] == "RuntimeBound"}
        assert bound == {"Attached", "="}, bound


def test_printing_the_machine_beside_other_flags_starts_nothing():
    with Lab() as lab:
        whole = lab.run(binary(NODE), "--print-machine", seconds=5).out
        for arguments in (["--store", "redis://127.0.0.1:1/0", "--print-machine"], ["--print-machine", "--bogus"]):
            end = lab.run(binary(NODE), *arguments, seconds=5)
            assert end.code == 0 and end.out == whole and not end.err, (arguments, end)
        for arguments in (["--bogus", "--print-machine"], ["--print-machine=yes"]):
            end = lab.run(binary(NODE), *arguments, seconds=5)
            assert end.code == 2 and not end.out and len(end.err.splitlines()) == 1, (arguments, end)


def test_a_reader_that_leaves_is_no_fault_and_a_full_disk_is():
    reader, writer = os.pipe()
    os.close(reader)
    for restore in (True, False):  # SIGPIPE as a shell leaves it, and ignored
        end = subprocess.run([binary(NODE), "--print-machine"], stdout=writer, stderr=subprocess.PIPE, timeout=5, check=False,
                             restore_signals=restore)
        assert end.returncode == 0 and not end.stderr, end
    os.close(writer)
    with open("/dev/full", "wb") as full:
        end = subprocess.run([binary(NODE), "--print-machine"], stdout=full, stderr=subprocess.PIPE, timeout=5, check=False)
    assert end.returncode == 1 and len(end.stderr.splitlines()) == 1 and b"No space" in end.stderr, end
