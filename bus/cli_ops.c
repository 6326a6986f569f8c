/* The operations of a session, for `meerkat ctl --help`. Whoever adds one gives it a line here. */
#include <stdio.h>

#include "bus/cli_ops.h"

/* clang-format off */
const struct cli_op cli_ops[MK_OP_LAST_OF_SESSION + 1] = {
    [MK_OP_REGISTER]               = {"[executor=NAME]",             "creates it; revives a stopped one"},
    [MK_OP_ATTACH]                 = {"[executor=NAME]",             "registers it and gives it an executor"},
    [MK_OP_PREPARE_BINDINGS]       = {"",                            "registers and binds it: fence, generation, epoch"},
    [MK_OP_UNREGISTER]             = {"",                            "cancels its run, then forgets it; numbers go on"},
    [MK_OP_UNREGISTER_IF_EPOCH]    = {"epoch=ID",                    "the same, if its epoch is this one"},
    [MK_OP_RETIRE]                 = {"[reason=TEXT]",               "takes nothing more, runs what it has"},
    [MK_OP_RESET]                  = {"[reason=TEXT]",               "abandons what waits, begins anew"},
    [MK_OP_RECYCLE]                = {"",                            "begins anew, keeps what waits"},
    [MK_OP_RECOVER]                = {"[reason=TEXT]",               "looks again at what waits"},
    [MK_OP_STOP]                   = {"[reason=TEXT]",               "after its run, abandons what waits"},
    [MK_OP_DESTROY]                = {"[reason=TEXT]",               "ends it for good"},
    [MK_OP_ABANDON_RETIRED]        = {"[reason=TEXT]",               "abandons what a retired one still has"},
    [MK_OP_INTERRUPT]              = {"[run=ID]",                    "cancels the current run at once"},
    [MK_OP_CANCEL_AFTER_BOUNDARY]  = {"[run=ID]",                    "cancels it at its next boundary"},
    [MK_OP_SILENT_INTENTS]         = {"intents=[\"A\",\"B\"]",       "peer requests of these wake nobody"},
    [MK_OP_WITHDRAW]               = {"id=ID",                       "an input that has not begun never runs"},
    [MK_OP_WAKE]                   = {"",                            "runs what waits, if anything does"},
    [MK_OP_PUBLISH_EVENT]          = {"[kind=TEXT]",                 "numbers an ingress_notice"},
    [MK_OP_INGEST]                 = {"input={\"id\":ID,...}",       "admits an input of a bound session; nobody waits"},
    [MK_OP_START_CONVERSATION_RUN] = {"run=ID [timeout_ms=N]",       "a service begins a turn of its own"},
    [MK_OP_COMMIT_SERVICE_TURN]    = {"run=ID",                      "and ends it"},
    [MK_OP_STATE]                  = {"",                            "its phase"},
    [MK_OP_SHOW]                   = {"",                            "everything its owner knows of it"},
    [MK_OP_INPUT_STATE]            = {"id=ID",                       "how far an input is"},
    [MK_OP_LIST_ACTIVE_INPUTS]     = {"",                            "ids of what is not over"},
    [MK_OP_OUTCOME]                = {"id=ID | idem=KEY",            "what became of an input"},
    [MK_OP_EVENTS]                 = {"[from=N] [limit=N]",          "its numbered events"},
    [MK_OP_RECEIPT]                = {"run=ID [sequence=N]",         "of a boundary of a run"},
    [MK_OP_TRANSCRIPT_EDIT]        = {"[running=B] [active_inputs=B]", "whether its transcript may be edited now"},
    [MK_OP_CONTAINS_SESSION]       = {"",                            "whether it is known"},
    [MK_OP_SESSION_HAS_EXECUTOR]   = {"",                            "whether an executor holds it"},
    [MK_OP_SESSION_HAS_COMMS]      = {"",                            "whether peers are attached to it"},
    [MK_OP_WHY]                    = {"",                            "what it waits for, since when, its last failure"},
    [MK_OP_DEAD]                   = {"[id=ID] [limit=N] [cursor=TEXT]", "its inputs that were abandoned"},
};
/* clang-format on */

void cli_print_ops(void)
{
    printf(
        "\nOP, and its arguments ([optional]; B is true or false; names of the semantics pages are understood too):\n");
    for (size_t i = 0; i < sizeof cli_ops / sizeof *cli_ops; i++)
        printf("  %-36s %-31s %s\n", mk_op_name((enum mk_op)i), cli_ops[i].args, cli_ops[i].what);
}
