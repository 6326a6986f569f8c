/* How a simulation comes to its end: everything is healed and runs to rest, is woken once more, and is looked at. */
#include "tests/sim/sim.h"

#define QUIET_WITHIN (120 * SECOND) /* of virtual time, once everything is healed */

static bool nobody_runs(struct sim *s)
{
    return sim_clients_quiet(s) && !sim_executors_running(s);
}

static bool all_answered(struct sim *s)
{
    return sim_clients_closed(s) && !sim_executors_running(s);
}

bool sim_rest_until(struct sim *s, bool (*done)(struct sim *s), const char *promise)
{
    if (sim_run_until(s, done, QUIET_WITHIN))
        return true;
    if (!sim_is_broken(s))
        sim_broken(s, promise, "no progress within %llu s: %s", QUIET_WITHIN / SECOND, sim_clients_open(s));
    return false;
}

bool sim_rest(struct sim *s, uint64_t pause_us)
{
    sim_heal(s);
    sim_clients_settle(s);
    if (!sim_rest_until(s, nobody_runs, "P10"))
        return false;
    sim_run_for(s, pause_us);
    checks_quiet(s);
    sim_clients_wake_all(s);
    if (!sim_rest_until(s, all_answered, "P8"))
        return false;
    sim_run_for(s, pause_us);
    checks_end(s);
    return !sim_is_broken(s);
}
