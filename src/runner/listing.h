/* SPDX-License-Identifier: MIT */
/* listing.h - what plugins offer, as the JSON that runner.h describes. */
#ifndef CONEY_RUNNER_LISTING_H
#define CONEY_RUNNER_LISTING_H

#include "base/buffer.h"
#include "runner/plugin.h"

/* Append one line to @out. CONEY_ENOMEM; CONEY_ELIMIT; CONEY_EINVAL: a doc isn't UTF-8,
 * text names its task. */
enum coney_rc listing_write(const struct plugins *p, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_RUNNER_LISTING_H */
