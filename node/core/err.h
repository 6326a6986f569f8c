/* One list of everything that can go wrong: the code as it stands on the wire, whether it is final (design section 5,
 * rule 7: true only where the reason lies in the frame alone or the session is Destroyed), and a sentence for people.
 */
#ifndef MEERKAT_CORE_ERR_H
#define MEERKAT_CORE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/*  code                        final  sentence */
#define MK_ERRORS(X)                                                                                                   \
    X(OK, ok, false, "no error")                                                                                       \
    X(MALFORMED, malformed, true, "not one well-formed msgpack map with unique keys")                                  \
    X(TOO_LARGE, too_large, true, "longer than its limit")                                                             \
    X(MISSING_FIELD, missing_field, true, "a required key is absent")                                                  \
    X(INVALID_FIELD, invalid_field, true, "a key has a value of a wrong type or range")                                \
    X(UNSUPPORTED_VERSION, unsupported_version, true, "a version this program does not know")                          \
    X(UNKNOWN_TYPE, unknown_type, true, "a message type this program does not know")                                   \
    X(UNKNOWN_OP, unknown_op, true, "an operation this program does not know")                                         \
    X(VALIDATION_FAILED, validation_failed, false, "the input or command breaks a rule")                               \
    X(INVALID_INPUT, invalid_input, true, "the input breaks a rule by itself, whatever the state")                     \
    X(ID_CONFLICT, id_conflict, true, "the id is known with another body")                                             \
    X(WRONG_PARTITION, wrong_partition, true, "topic, session and partition count disagree")                           \
    X(TOO_LATE, too_late, true, "first sent before the horizon of what is remembered")                                 \
    X(UNKNOWN_EXECUTOR, unknown_executor, false, "no executor of that name on this node")                              \
    X(NOT_FOUND, not_found, false, "nothing of that name is known")                                                    \
    X(NOT_READY, not_ready, false, "the session's phase does not allow it")                                            \
    X(INVALID_STATE, invalid_state, false, "the session's state does not allow it")                                    \
    X(DESTROYED, destroyed, true, "the session is destroyed")                                                          \
    X(WITHDRAWN, withdrawn, true, "the input was withdrawn by its publisher")                                          \
    X(NOT_KNOWN_YET, not_known_yet, false, "the input names one to come after that is not known yet")                  \
    X(DEADLINE_PASSED, deadline_passed, false, "its deadline passed before it could be done")                          \
    X(OVERLOADED, overloaded, false, "a bound of the node is reached; repeat later")                                   \
    X(UNAVAILABLE, unavailable, false, "the store does not answer; repeat later")                                      \
    X(LEASE_LOST, lease_lost, false, "another node owns the partition, or nobody does")                                \
    X(STOPPING, stopping, false, "the node is leaving; another will answer")                                           \
    X(QUARANTINED, quarantined, false, "the session's record cannot be read, or it broke a rule")                      \
    X(RESULT_TOO_LARGE, result_too_large, false, "the result would not fit a frame")                                   \
    X(EXECUTOR_FAILED, executor_failed, false, "the executor failed")                                                  \
    X(MISMATCH, mismatch, false, "the store belongs to a cluster configured otherwise")                                \
    X(REFUSED, refused, false, "the store, the bus or the system refused")                                             \
    X(INTERNAL, internal, false, "an invariant did not hold; please report it")

enum mk_err {
#define X(name, code, final, text) MK_ERR_##name,
    MK_ERRORS(X)
#undef X
        MK_ERR_COUNT
};

const char *mk_err_code(enum mk_err err); /* "not_ready" */
const char *mk_err_text(enum mk_err err); /* the sentence */
bool mk_err_final(enum mk_err err);
enum mk_err mk_err_parse(const char *code, size_t bytes); /* MK_ERR_INTERNAL when unknown */

/* What exactly: filled by the function that failed, prefixed by those outside it. Caller-owned; NULL is allowed. */
struct mk_note {
    char text[256];
};

/* Both return their code, so that a failing function ends in `return err_set(...)`. */
enum mk_err err_set(struct mk_note *note, enum mk_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum mk_err err_wrap(struct mk_note *note, enum mk_err err, const char *prefix);

#endif
