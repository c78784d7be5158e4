/* SPDX-License-Identifier: MIT */
/* admission.c - design.md, "Life of a task", step 2, less the rate limit. */
#include "worker/admission.h"

enum { UNKNOWN_FIRST_S = 2, UNKNOWN_CAP_S = 60, UNKNOWN_SHIFT_MAX = 5 };

bool admission_is_expired(const struct task_request *request, int64_t now_us)
{
    return request->expires_us != TASK_NO_TIME && request->expires_us <= now_us;
}

/* 2, 4 ... 60 s, as long as nobody may have been deployed yet who knows the task. */
static struct admission_verdict decide_unknown(const struct admission_facts *facts)
{
    int64_t now_ms = facts->now_us / 1000;
    struct admission_verdict v = {.kind = ADMIT_UNKNOWN, .unknown_since_ms = now_ms};
    int64_t count = 0;

    (void)table_integer(facts->headers, HEADER_UNKNOWN_SINCE, &v.unknown_since_ms);
    (void)table_integer(facts->headers, HEADER_UNKNOWN_COUNT, &count);
    if (now_ms - v.unknown_since_ms >= facts->unknown_task_ttl_ms) {
        v.kind = ADMIT_NOBODY;
        return v;
    }
    if (count < 0 || count > UNKNOWN_SHIFT_MAX)
        count = UNKNOWN_SHIFT_MAX;
    int64_t wait_s = (int64_t)UNKNOWN_FIRST_S << count;
    if (wait_s > UNKNOWN_CAP_S)
        wait_s = UNKNOWN_CAP_S;
    v.unknown_count = count + 1;
    v.until_us = facts->now_us + wait_s * 1000000;
    return v;
}

struct admission_verdict admission_decide(const struct admission_facts *facts)
{
    const struct task_request *r = facts->request;

    if (admission_is_expired(r, facts->now_us))
        return (struct admission_verdict){.kind = ADMIT_EXPIRED};
    if (r->eta_us != TASK_NO_TIME && r->eta_us > facts->now_us)
        return (struct admission_verdict){.kind = ADMIT_LATER, .until_us = r->eta_us};
    if (!facts->known)
        return decide_unknown(facts);
    return (struct admission_verdict){.kind = ADMIT_START};
}
