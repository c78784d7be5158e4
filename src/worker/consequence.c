/* SPDX-License-Identifier: MIT */
/* consequence.c - design.md, "Life of a task", steps 4 and 5. */
#include "worker/consequence.h"

#include "queue/retry.h"

/* So that a task which nobody wants goes round slowly. */
enum { PUT_BACK_MS = 2000 };

static struct consequence dead(enum dead_reason reason)
{
    return (struct consequence){.kind = CONSEQUENCE_DEAD, .reason = reason};
}

/* The task's own word, else the operator's. */
static int64_t retries_max(const struct outcome *o, const struct retry_policy *policy)
{
    return o->max_retries >= 0 ? o->max_retries : policy->max;
}

static struct consequence retry_or(const struct outcome *o,
        const struct retry_policy *policy, int64_t retries, struct rng *rng,
        enum dead_reason reason)
{
    if (retries >= retries_max(o, policy))
        return dead(reason);
    int64_t delay_ms =
            o->delay_ms >= 0 ? o->delay_ms : retry_delay_ms(policy, retries, rng);
    return (struct consequence){.kind = CONSEQUENCE_RETRY, .delay_ms = delay_ms};
}

/* A failure the task did not ask to have retried: the policy's on and not_on decide. A
 * delay is only the task's to say when it asks. */
static struct consequence failure(const struct outcome *o,
        const struct retry_policy *policy, int64_t retries, struct rng *rng,
        enum dead_reason reason)
{
    struct outcome silent = *o;
    silent.delay_ms = -1;

    if (!retry_policy_covers(policy, o->error_type))
        return dead(reason);
    if (reason == DEAD_FAILED && retries_max(o, policy) > 0)
        reason = DEAD_MAX_RETRIES;
    return retry_or(&silent, policy, retries, rng, reason);
}

struct consequence consequence_of(const struct outcome *o,
        const struct retry_policy *policy, int64_t retries, struct rng *rng)
{
    switch (o->kind) {
    case OUTCOME_SUCCESS:
        return (struct consequence){.kind = CONSEQUENCE_DONE};
    case OUTCOME_IGNORE:
        return (struct consequence){.kind = CONSEQUENCE_IGNORED};
    case OUTCOME_RETRY:
        return retry_or(o, policy, retries, rng, DEAD_MAX_RETRIES);
    case OUTCOME_FAIL:
        return failure(o, policy, retries, rng, DEAD_FAILED);
    case OUTCOME_CRASHED:
        return failure(o, policy, retries, rng, DEAD_CRASHED);
    case OUTCOME_TIMED_OUT:
        return failure(o, policy, retries, rng, DEAD_TIMED_OUT);
    case OUTCOME_REJECT:
        return dead(DEAD_REJECTED);
    case OUTCOME_REQUEUE:
        return (struct consequence){.kind = CONSEQUENCE_PUT_BACK,
                .delay_ms = o->delay_ms >= 0 ? o->delay_ms : PUT_BACK_MS};
    case OUTCOME_UNKNOWN:
        return (struct consequence){.kind = CONSEQUENCE_UNKNOWN};
    case OUTCOME_STOPPED:
        break;
    }
    return (struct consequence){.kind = CONSEQUENCE_RETURN};
}
