/* The node's own queries. */
#include "node/core/node_impl.h"

#define SESSIONS_LISTED 1000

static void put_session(const struct node *node, struct mk_doc *doc, const struct slot *slot)
{
    const struct session *session = slot->session;
    doc_map(doc);
    doc_put_text(doc, "session", session_id_span(&slot->id));
    doc_put_u64(doc, "partition", slot->partition);
    doc_put_u64(doc, "fence", slot_fence(node, slot));
    const char *state = slot->state == SLOT_QUARANTINED ? "quarantined"
                        : session                       ? phase_name(machine_visible_phase(&session->core.machine))
                                                        : "loading";
    doc_put_text(doc, "phase", span_of(state));
    doc_put_u64(doc, "active_inputs", session ? session->core.ledger.count : 0);
    doc_put_u64(doc, "events", session && session->core.next_event ? session->core.next_event - 1 : 0);
    if (session && session_run(session).bytes)
        doc_put_text(doc, "run", session_run(session));
    if (session && session->core.executor.bytes)
        doc_put_text(doc, "executor", id_span(&session->core.executor));
    doc_end(doc);
}

static void put_sessions(const struct node *node, struct mk_doc *doc)
{
    size_t listed = 0;
    doc_map(doc);
    doc_put_text(doc, "node", id_span(&node->config.node));
    doc_key(doc, "sessions");
    doc_array(doc);
    for (const struct slot *slot = node->slots.newest; slot && listed < SESSIONS_LISTED; slot = slot->age_prev) {
        if (slot->session && slot->session->core.machine.phase == PHASE_INITIALIZING)
            continue; /* asked about, and never came into being */
        put_session(node, doc, slot);
        listed++;
    }
    doc_end(doc);
    doc_put_u64(doc, "total", node->slots.count);
    doc_end(doc);
}

static void put_node(const struct node *node, struct mk_doc *doc)
{
    struct node_view view;
    node_view(node, node->now_ms, &view);
    doc_map(doc);
    doc_put_text(doc, "node", id_span(&node->config.node));
    doc_put_text(doc, "incarnation", span_of(node->config.incarnation.text));
    doc_put_u64(doc, "partitions", view.partitions);
    doc_put_u64(doc, "owned", view.owned);
    doc_put_u64(doc, "suspended", view.suspended);
    doc_put_u64(doc, "handing", view.handing);
    doc_put_u64(doc, "expecting", view.expecting);
    doc_put_u64(doc, "members", view.members);
    doc_put_u64(doc, "sessions", view.sessions);
    doc_put_u64(doc, "quarantined", view.quarantined);
    doc_put_u64(doc, "runs_active", view.runs_active);
    doc_put_u64(doc, "held_events", view.held_events);
    doc_put_u64(doc, "accepted", view.accepted);
    doc_put_u64(doc, "completed", view.completed);
    doc_put_u64(doc, "faults", view.faults);
    doc_put_bool(doc, "store_up", view.store_up);
    doc_put_text(doc, "phase", span_of(member_phase_name(view.phase)));
    doc_end(doc);
}

void node_query(struct node *node, const struct mk_command *command)
{
    if (command->op == MK_OP_DRAIN) {
        drain_ask(node, command);
        return;
    }
    if (command->op == MK_OP_DEAD) {
        replay_start(node, NULL, command);
        return;
    }
    struct answer *answer = span_given(command->reply_to) ? mem_alloc(node->mem, sizeof *answer) : NULL;
    if (!answer)
        return;
    answer->type = ANSWER_RESULT;
    id_set(&answer->to, command->reply_to);
    id_set(&answer->re, command->h.id);
    answer->as.result = (struct mk_result){.ok = true};
    answer->as.result.re = id_span(&answer->re);
    answer->data = doc_new(node->mem);
    if (answer->data && command->op == MK_OP_SESSIONS)
        put_sessions(node, answer->data);
    else if (answer->data && (command->op == MK_OP_NODE_STATE || command->op == MK_OP_PING))
        put_node(node, answer->data);
    else
        answer->as.result = (struct mk_result){.re = id_span(&answer->re),
                                               .error = MK_ERR_UNKNOWN_OP,
                                               .final = true,
                                               .message = span_of(mk_err_text(MK_ERR_UNKNOWN_OP))};
    if (answer->as.result.ok)
        answer->as.result.data = answer->data;
    answer_now(node, answer, NULL);
}
