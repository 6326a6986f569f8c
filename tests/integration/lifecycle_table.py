"""What every operation of a session does in every phase: the table of test_lifecycle.py. Written from the rules (semantics-core.md
1.3, 2-5 and 7, what we decided otherwise, and protocol.md where these are silent), not from what the program says.

A new operation is a line in OPERATIONS and a paragraph in TABLE.
"""

NOBODY = "nobody"  # the phase of a session that is not known

# --- the phases -------------------------------------------------------------------------------------------------------

# How a session gets there (one step after the other), what comes in one frame with the operation, the phase that it shows, whether
# it has an executor, and its inputs: r runs, q is queued, f has failed twice and waits for its third attempt.
PHASES = {
    # name          steps                                   with it       shows        executor  active
    "unknown":      ((),                                    (),           NOBODY,      False,    ""),
    "idle":         (("register", "q"),                     (),           "idle",      False,    "q"),   # unbound
    "idle_bound":   (("bind", "reset", "q"),                (),           "idle",      False,    "q"),   # but for the fence
    "bound":        (("bind", "q"),                         (),           "attached",  False,    "q"),
    "reset":        (("attach", "bind", "reset", "q"),      (),           "idle",      True,     "q"),
    "attached":     (("attach", "bind", "q"),               (),           "attached",  True,     "q"),
    "free":         (("attach", "bind"),                    (),           "attached",  True,     ""),
    "turn":         (("attach", "bind", "turn"),            (),           "running",   True,     ""),    # of a service
    "running":      (("attach", "bind", "r", "q"),          (),           "running",   True,     "rq"),
    "stopping":     (("attach", "bind", "r", "q", "stop"),  (),           "running",   True,     "rq"),  # a stop waits
    "draining":     (("attach", "bind", "r", "q", "retire"), (),          "retired",   True,     "rq"),  # Running over Retired
    "backlog":      (("attach fail", "bind", "f"),          ("retire",),  "retired",   True,     "f"),   # Retired, and nothing runs
    "retired":      (("attach", "bind", "retire"),          (),           "retired",   True,     ""),
    "retired_bare": (("bind", "retire"),                    (),           "retired",   False,    ""),
    "stopped":      (("attach", "bind", "stop"),            (),           "stopped",   False,    ""),
    "destroyed":    (("attach", "bind", "destroy"),         (),           "destroyed", False,    ""),
    "leaving":      (("attach", "bind", "r", "q"),          ("leave",),   "running",   True,     "rq"),  # an unregister waits
    "left":         (("attach", "bind", "leave"),           (),           NOBODY,      False,    ""),    # a tombstone
    "kept":         (("attach", "bind", "retire", "leave"), (),           NOBODY,      False,    ""),    # a record that stays
    "kept_stopped": (("attach", "bind", "stop", "leave"),   (),           NOBODY,      False,    ""),
}
# What `register`, and an input, make of a session is different with --auto-register: these phases are not reached there.
ONLY_MANUAL = ("idle", "idle_bound", "bound")

STEPS = {
    "register": ("register", {}),
    "bind": ("prepare_bindings", {}),
    "attach": ("attach", {"executor": "sleep"}),
    "attach fail": ("attach", {"executor": "fail"}),
    "reset": ("reset", {}),
    "retire": ("retire", {}),
    "stop": ("stop", {}),
    "destroy": ("destroy", {}),
    "leave": ("unregister", {}),
    "turn": ("start_conversation_run", {"run": "@turn"}),
}

# --- the operations ---------------------------------------------------------------------------------------------------

# What is sent. An argument that begins with @ is of the pair: an input that waits (one that nobody knows, where none waits), the
# one that runs, the session's epoch, the run of a service's turn, a whole input.
OPERATIONS = {
    "register": ("register", {"executor": "nap"}),
    "attach": ("attach", {"executor": "nap"}),
    "prepare_bindings": ("prepare_bindings", {}),
    "unregister": ("unregister", {}),
    "unregister_if_epoch": ("unregister_if_epoch", {"epoch": "@epoch"}),
    "unregister_if_other_epoch": ("unregister_if_epoch", {"epoch": "another"}),
    "retire": ("retire", {"reason": "because"}),
    "reset": ("reset", {"reason": "because"}),
    "recycle": ("recycle", {}),
    "recover": ("recover", {}),
    "stop": ("stop", {"reason": "because"}),
    "destroy": ("destroy", {"reason": "because"}),
    "abandon_retired": ("abandon_retired", {"reason": "because"}),
    "interrupt": ("interrupt", {}),
    "interrupt_another_run": ("interrupt", {"run": "another"}),
    "cancel_after_boundary": ("cancel_after_boundary", {}),
    "silent_intents": ("silent_intents", {"intents": ["hush"]}),
    "withdraw": ("withdraw", {"id": "@waiting"}),
    "withdraw_what_runs": ("withdraw", {"id": "@runs"}),
    "wake": ("wake", {}),
    "publish_event": ("publish_event", {"kind": "k"}),
    "transcript_edit": ("transcript_edit", {}),
    "transcript_edit_busy": ("transcript_edit", {"active_inputs": True}),
    "state": ("state", {}),
    "input_state": ("input_state", {"id": "@waiting"}),
    "input_state_of_what_runs": ("input_state", {"id": "@runs"}),
    "list_active_inputs": ("list_active_inputs", {}),
    "outcome": ("outcome", {"id": "@waiting"}),
    "receipt": ("receipt", {"run": "none", "sequence": 0}),
    "dead": ("dead", {}),
    "input": ("input", {}),
    "ingest": ("ingest", {"input": "@input"}),
    "start_conversation_run": ("start_conversation_run", {"run": "@turn"}),
    "commit_service_turn_terminal_receipt": ("commit_service_turn_terminal_receipt", {"run": "@turn"}),
    "why": ("why", {}),
    "contains_session": ("contains_session", {}),
    "session_has_executor": ("session_has_executor", {}),
    "session_has_comms": ("session_has_comms", {}),
}

# Those whose results are remembered under their ids.
REMEMBERED = [name for name, (op, _) in OPERATIONS.items()
              if op not in ("transcript_edit", "state", "input_state", "list_active_inputs", "outcome", "receipt", "dead", "input", "why",
                            "contains_session", "session_has_executor", "session_has_comms")]

# Operation, then lines: phases : answer -> phase afterwards, and once nothing moves any more | how inputs end.
#   answer   ok with what the data says (== for whole lists), or an error code. `phase` is left out where it is the one afterwards;
#            an error says the phase that the session shows, unless another stands there. final: it says so.
#   phase    left out: as before. One: both.
#   inputs   left out: they go on, and end as destroyed when the test is over. In `leaving` the unregister ends them.
TABLE = """
register                        2: an entry that is there stays what it is; D5, L11: a stopped one is revived
  unknown left                  : ok -> idle
  idle idle_bound bound reset attached running stopping draining backlog retired retired_bare free turn : ok
  stopped kept_stopped          : ok -> idle
  kept                          : ok -> retired
  destroyed                     : destroyed final
  leaving                       : not_ready

attach                          3: who has the claim keeps it; what waits runs now; no claim in Retired, Stopped, Draining
  unknown left                  : ok executor=nap -> attached
  idle idle_bound bound         : ok executor=nap phase=attached -> running
  reset attached running stopping draining retired free turn : ok executor=sleep
  backlog                       : ok executor=fail
  retired_bare stopped          : validation_failed
  kept kept_stopped             : validation_failed destroyed
  destroyed                     : destroyed final
  leaving                       : not_ready

prepare_bindings                1.3, 2: registers; Idle becomes Attached, also after a reset
  unknown left idle idle_bound reset : ok -> attached
  bound attached running stopping draining backlog retired retired_bare stopped free turn : ok
  kept                          : ok -> retired
  kept_stopped                  : ok -> stopped
  destroyed                     : destroyed final
  leaving                       : not_ready

unregister                      4: unknown, destroyed and draining ones are fine; kept are Retired (D2: over a run, too) and Stopped
  unknown left kept kept_stopped destroyed : ok
  idle idle_bound bound free : ok retained=no abandoned=0 -> nobody
  reset attached                : ok retained=no abandoned=1 -> nobody             | q=stopped
  running stopping              : ok retained=no abandoned=1 -> running, nobody    | r=cancelled q=stopped
  draining                      : ok retained=yes abandoned=1 -> retired, nobody   | r=cancelled q=stopped
  backlog                       : ok retained=yes abandoned=1 -> nobody            | f=stopped
  retired retired_bare stopped  : ok retained=yes abandoned=0 -> nobody
  leaving                       : ok
  turn                          : ok retained=no abandoned=0 -> nobody

unregister_if_epoch             4: unknown ones are refused; unbound there is none; in leaving it is answered at the end
  unknown left kept kept_stopped : not_ready destroyed
  destroyed                     : destroyed final
  idle                          : missing_field final
  idle_bound bound free turn : ok retained=no abandoned=0 -> nobody
  reset attached                : ok retained=no abandoned=1 -> nobody             | q=stopped
  running stopping              : ok retained=no abandoned=1 -> running, nobody    | r=cancelled q=stopped
  draining                      : ok retained=yes abandoned=1 -> retired, nobody   | r=cancelled q=stopped
  backlog                       : ok retained=yes abandoned=1 -> nobody            | f=stopped
  retired retired_bare stopped  : ok retained=yes abandoned=0 -> nobody
  leaving                       : not_ready destroyed

unregister_if_other_epoch       2: only that of the call
  unknown left kept kept_stopped : not_ready destroyed
  destroyed                     : destroyed final
  idle idle_bound bound reset attached running stopping draining backlog retired retired_bare stopped leaving free turn : validation_failed

retire                          5.7, 7: what an executor can still run is kept
  unknown left kept kept_stopped : not_found
  idle idle_bound bound         : ok abandoned=1 pending_drain=0 -> retired        | q=retired
  reset attached                : ok abandoned=0 pending_drain=1 -> retired
  running stopping draining     : ok abandoned=0 pending_drain=2 -> retired
  backlog                       : ok abandoned=0 pending_drain=1
  retired retired_bare          : ok abandoned=0 pending_drain=0
  stopped                       : invalid_state
  destroyed                     : destroyed final
  leaving                       : not_ready
  free turn                     : ok abandoned=0 pending_drain=0 -> retired

reset                           5.7, 7: from Id, At and Re; a draining run is left behind
  unknown left kept kept_stopped : not_found
  idle idle_bound bound reset attached : ok abandoned=1 -> idle                    | q=reset
  draining                      : ok abandoned=2 -> idle                           | r=reset q=reset
  backlog                       : ok abandoned=1 -> idle                           | f=reset
  retired retired_bare          : ok abandoned=0 -> idle
  running stopping stopped turn : invalid_state
  destroyed                     : destroyed final
  leaving                       : not_ready
  free                          : ok abandoned=0 -> idle

recycle                         1.3, 5.7, 7: from Id, At and Re; Attached stays so; inputs stay; the loop is woken
  unknown left kept kept_stopped : not_found
  idle idle_bound               : ok transferred=1
  bound                         : ok transferred=1
  reset                         : ok transferred=1 phase=idle -> running
  attached                      : ok transferred=1 phase=attached -> running
  backlog                       : ok transferred=1 -> idle
  retired retired_bare          : ok transferred=0 -> idle
  running stopping draining stopped turn : invalid_state
  destroyed                     : destroyed final
  leaving                       : not_ready
  free                          : ok transferred=0

recover                         5.7, 5.8, 7, D17: phase and executor stay, and what waits is woken
  unknown left kept kept_stopped : not_found
  idle idle_bound bound         : ok recovered=1 abandoned=0 requeued=0
  reset                         : ok recovered=1 abandoned=0 requeued=0 phase=idle -> running
  attached                      : ok recovered=1 abandoned=0 requeued=0 phase=attached -> running
  backlog                       : ok recovered=1 abandoned=0 requeued=0
  retired retired_bare stopped  : ok recovered=0 abandoned=0 requeued=0
  running stopping draining turn : invalid_state
  destroyed                     : destroyed final
  leaving                       : not_ready
  free                          : ok recovered=0 abandoned=0 requeued=0

stop                            5.7, 7, D18: overtakes what waits, not what runs; Retired stays so, its inputs end
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset attached : ok deferred=no -> stopped                 | q=stopped
  running stopping              : ok deferred=yes
  draining                      : ok deferred=yes
  backlog                       : ok deferred=no                                   | f=stopped
  retired retired_bare          : ok deferred=no
  stopped                       : validation_failed
  destroyed                     : destroyed final
  leaving                       : not_ready
  free                          : ok deferred=no -> stopped
  turn                          : ok deferred=yes

destroy                         5.7, 7: from everywhere but Destroyed
  unknown left kept kept_stopped : not_found
  idle idle_bound bound reset attached : ok abandoned=1 -> destroyed               | q=destroyed
  running stopping draining leaving : ok abandoned=2 -> destroyed                  | r=destroyed q=destroyed
  backlog                       : ok abandoned=1 -> destroyed                      | f=destroyed
  retired retired_bare stopped  : ok abandoned=0 -> destroyed
  destroyed                     : destroyed final
  free turn                     : ok abandoned=0 -> destroyed

abandon_retired                 7: Retired, by the machine's phase: a draining run is Running
  unknown left kept kept_stopped destroyed : not_ready destroyed
  idle idle_bound bound reset attached running stopping stopped leaving free turn : not_ready
  draining                      : not_ready running
  backlog                       : ok abandoned=1                                   | f=because
  retired retired_bare          : ok abandoned=0

interrupt                       7: At and Ru with an executor; an unknown one is destroyed, but not for good
  unknown left kept kept_stopped : destroyed
  idle idle_bound bound reset backlog retired retired_bare stopped : not_ready
  attached free : ok cancelled=no run=nil
  running                       : ok cancelled=yes                                 | r=cancelled
  stopping                      : ok cancelled=yes -> running, stopped             | r=cancelled q=stopped
  draining                      : ok cancelled=yes                                 | r=cancelled
  leaving                       : ok cancelled=yes
  destroyed                     : destroyed final
  turn                          : ok cancelled=yes -> attached

interrupt_another_run           rule 6, L15: it hits the run that it means, or none
  unknown left kept kept_stopped : destroyed
  idle idle_bound bound reset backlog retired retired_bare stopped : not_ready
  attached running stopping draining leaving free turn : ok cancelled=no run=another
  destroyed                     : destroyed final

cancel_after_boundary           7: At and Ru with an executor, by the phase that shows: not while draining
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset draining backlog retired retired_bare stopped : not_ready
  attached free : ok cancelled=no run=nil
  running                       : ok cancelled=yes                                 | r=cancelled
  stopping                      : ok cancelled=yes -> running, stopped             | r=cancelled q=stopped
  leaving                       : ok cancelled=yes
  destroyed                     : destroyed final
  turn                          : ok cancelled=yes -> attached

silent_intents                  1.3, 7: set from Id, At, Ru and Re; nothing happens in Stopped
  unknown left kept kept_stopped : validation_failed destroyed
  idle idle_bound bound reset attached running stopping draining backlog retired retired_bare free turn : ok intents=1
  stopped                       : ok intents=0
  destroyed                     : destroyed final
  leaving                       : not_ready

withdraw                        design 5, rule 7: from everywhere; what nobody knows will never be admitted
  unknown left kept kept_stopped retired retired_bare stopped destroyed free turn : ok withdrawn=yes phase=abandoned
  idle idle_bound bound reset attached running stopping draining leaving : ok withdrawn=yes phase=abandoned | q=withdrawn
  backlog                       : ok withdrawn=yes phase=abandoned                 | f=withdrawn

withdraw_what_runs              design 5, rule 7: what has begun is told
  running stopping draining leaving : ok withdrawn=no phase=staged

wake                            7: whether anything waits; without an executor NotReady{Idle}
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound               : not_ready
  bound                         : not_ready idle
  reset attached                : ok woken=yes -> running
  running stopping draining backlog : ok woken=yes
  retired retired_bare stopped destroyed free turn : ok woken=no
  leaving                       : not_ready

publish_event                   1.3, 7: from everywhere a session is registered
  unknown left kept kept_stopped : not_found
  idle idle_bound bound reset attached running stopping draining backlog retired retired_bare stopped leaving free turn : ok
  destroyed                     : destroyed final

transcript_edit                 1.3, 7: in Id, At and Ru; a draining one shows Retired
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset attached running stopping leaving free turn : ok verdict=admissible
  draining backlog retired retired_bare stopped destroyed : invalid_state

transcript_edit_busy            the same
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset attached running stopping leaving free turn : ok verdict=denied_busy
  draining backlog retired retired_bare stopped destroyed : invalid_state

state                           7, 1.1: the phase that shows
  unknown left kept kept_stopped : not_found
  idle idle_bound reset         : ok phase=idle
  bound attached free : ok phase=attached
  running stopping leaving turn : ok phase=running
  draining backlog retired retired_bare : ok phase=retired
  stopped                       : ok phase=stopped
  destroyed                     : ok phase=destroyed

input_state                     7: of a session that is known; no input of that name is not_found
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset attached running stopping draining leaving : ok phase=queued attempts=0
  backlog                       : ok phase=queued attempts=2
  retired retired_bare stopped destroyed free turn : not_found

input_state_of_what_runs        5.2
  running stopping draining leaving : ok phase=staged attempts=1

list_active_inputs              7: in order of acceptance
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset attached : ok inputs==q
  running stopping draining leaving : ok inputs==rq
  backlog                       : ok inputs==f
  retired retired_bare stopped destroyed free turn : ok inputs==

outcome                         D14: also of a session that nobody knows
  unknown left kept kept_stopped retired retired_bare stopped destroyed free turn : ok state=never_seen repeat_safe=yes
  idle idle_bound bound reset attached running stopping draining backlog leaving : ok state=in_flight repeat_safe=yes

receipt                         7: the receipt or none
  unknown left kept kept_stopped : not_found
  idle idle_bound bound reset attached running stopping draining backlog : ok receipt=nil
  retired retired_bare stopped destroyed leaving free turn : ok receipt=nil

dead                            protocol.md: of any session; nothing was given up here
  unknown left kept kept_stopped destroyed : ok items==
  idle idle_bound bound reset attached free turn running stopping draining backlog : ok items==
  retired retired_bare stopped leaving : ok items==

input                           5.3, 1.1; L18: not while an unregister is under way
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound         : ok phase=queued
  reset attached free           : ok phase=queued -> running
  running stopping turn         : ok phase=queued
  draining backlog retired retired_bare stopped leaving : not_ready
  destroyed                     : destroyed final

ingest                          7: from Id, At and Ru, bound, fence included; else invalid_state with the phase that shows
  unknown left kept kept_stopped : not_found
  idle idle_bound               : invalid_state
  bound                         : ok outcome=accepted phase=queued
  reset attached free           : ok outcome=accepted phase=queued -> running
  running stopping turn         : ok outcome=accepted phase=queued
  draining backlog retired retired_bare stopped destroyed : invalid_state
  leaving                       : not_ready

start_conversation_run          1.3: over no run, no turn, and no inputs (decisions.md); Idle only if bound
  unknown left kept kept_stopped : not_ready destroyed
  free                          : ok run=@turn -> running
  idle idle_bound bound reset attached turn running stopping draining backlog retired retired_bare stopped leaving : not_ready
  destroyed                     : destroyed final

commit_service_turn_terminal_receipt    6.2: Running, in that turn, no inputs
  unknown left kept kept_stopped : not_ready destroyed
  turn                          : ok run=@turn -> attached
  idle idle_bound bound reset attached free running stopping draining backlog retired retired_bare stopped : invalid_state
  destroyed                     : destroyed final
  leaving                       : not_ready

why                             protocol.md
  unknown left kept kept_stopped : not_found
  idle idle_bound bound         : ok waits_for=executor
  reset attached                : ok waits_for=wake
  turn                          : ok waits_for=service_turn
  running draining              : ok waits_for=run
  stopping                      : ok waits_for=stop
  leaving                       : ok waits_for=unregister
  backlog                       : ok waits_for=backoff
  free retired retired_bare stopped destroyed : ok waits_for=nothing

contains_session                7, 4: never fails; a destroyed one stays registered
  unknown left kept kept_stopped : ok contains=no
  idle idle_bound bound reset attached free turn running stopping draining backlog : ok contains=yes
  retired retired_bare stopped destroyed leaving : ok contains=yes

session_has_executor            3: the registration is Active
  unknown left kept kept_stopped idle idle_bound bound retired_bare stopped destroyed leaving : ok has_executor=no
  reset attached free turn running stopping draining backlog retired : ok has_executor=yes

session_has_comms               7: of a session that is known
  unknown left kept kept_stopped : not_ready destroyed
  idle idle_bound bound reset attached free turn running stopping draining backlog : ok has_comms=no
  retired retired_bare stopped destroyed leaving : ok has_comms=no
"""

# With --auto-register: `register` binds and attaches what is Idle, and an input creates its session.
AUTOMATIC = """
register
  unknown left                  : ok -> attached
  stopped kept_stopped          : ok -> attached

input
  unknown left                  : ok phase=queued -> running
"""

# How inputs end: outcome, and the reason if it matters.
ENDS = {
    "retired": ("runtime_terminated", "retired without runtime loop"),
    "reset": ("runtime_terminated", "runtime reset"),
    "stopped": ("runtime_terminated", "runtime stopped"),
    "destroyed": ("runtime_terminated", "runtime destroyed"),
    "because": ("runtime_terminated", "because"),
    "cancelled": ("cancelled", "cancelled"),
    "withdrawn": ("cancelled", "withdrawn"),
}
LEAVING_ENDS = {"r": "cancelled", "q": "stopped"}
# Results that say a phase of something else than the session, or none.
PHASELESS = ("unregister", "unregister_if_epoch", "unregister_if_other_epoch", "interrupt", "interrupt_another_run",
             "cancel_after_boundary", "wake", "transcript_edit", "transcript_edit_busy", "list_active_inputs", "outcome", "receipt",
             "dead", "contains_session", "session_has_executor", "session_has_comms")


class Expected:
    """A cell of the table."""

    def __init__(self, operation, phase, text):
        answer, _, ends = text.partition("|")
        answer, _, after = answer.partition("->")
        shows = PHASES[phase][2]
        words, after = answer.split(), [word.strip() for word in after.split(",") if word.strip()]
        self.now = after[0] if after else shows
        self.then = after[-1] if after else shows
        if phase == "leaving" and self.then == "running":
            self.then = NOBODY
        self.ok, self.code = words[0] == "ok", words[0]
        self.final = "final" in words
        self.data = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        if self.ok and "phase" not in self.data and operation not in PHASELESS:
            self.data["phase"] = self.now
        named = [word for word in words[1:] if word != "final" and "=" not in word]
        self.phase = named[0] if named else shows
        self.ends = dict(LEAVING_ENDS) if phase == "leaving" else {}
        self.ends.update(word.split("=") for word in ends.split())
        if self.then == "destroyed":
            self.ends = {name: "destroyed" for name in PHASES[phase][4]}


def read_table(text):
    """{(operation, phase): Expected}"""
    cells, operation = {}, None
    for line in text.splitlines():
        if line[:1].strip():
            operation = line.split()[0]
        elif line.strip():
            phases, _, rest = line.partition(" : ")
            for phase in phases.split():
                assert operation in OPERATIONS and phase in PHASES and (operation, phase) not in cells, line
                cells[operation, phase] = Expected(operation, phase, rest)
    return cells


# Pairs that cannot be: where nothing runs there is nothing that runs.
IMPOSSIBLE = {(operation, phase) for phase in PHASES if "r" not in PHASES[phase][4]
              for operation in ("withdraw_what_runs", "input_state_of_what_runs")}
