/* SPDX-License-Identifier: MIT */
/*
 * diagnosis.h - what of a fleet of Celery workers would not move to Coney, or would not
 * be the same there. Pure: from their description to sentences.
 */
#ifndef CONEY_CLI_DIAGNOSIS_H
#define CONEY_CLI_DIAGNOSIS_H

#include "cli/celery_fleet.h"

enum finding {
    FINDING_BLOCKS,  /* it does not move as it is */
    FINDING_DIFFERS, /* it moves, and something is different afterwards */
    FINDINGS
};

struct diagnosis {
    json_t *findings[FINDINGS]; /* owned; arrays of sentences */
    enum coney_rc rc;
};

/* For diagnosis_fini() in any case; rc says whether it is complete. It is @now_us. */
void diagnose(const struct celery_fleet *f, int64_t now_us, struct diagnosis *d);
void diagnosis_fini(struct diagnosis *d);

/* Add a sentence, made fit for one line; for diagnosis*.c. */
void diagnosis_add(struct diagnosis *d, enum finding kind, const char *fmt, ...)
        CONEY_PRINTF(3, 4);
void diagnose_queues(const struct celery_fleet *f, struct diagnosis *d);
void diagnose_schedule(const struct celery_fleet *f, struct diagnosis *d);
void diagnose_tasks(const struct celery_fleet *f, struct diagnosis *d);

#endif /* CONEY_CLI_DIAGNOSIS_H */
