/* SPDX-License-Identifier: MIT */
/*
 * duration.h - durations, sizes and rates as people write them.
 *
 * A number without a unit is refused: half of the readers would guess seconds and the
 * other half milliseconds. Parsing takes the whole text, without blanks; what is wrong
 * and what would be right stands in the error.
 */
#ifndef CONEY_BASE_DURATION_H
#define CONEY_BASE_DURATION_H

#include <coney/error.h>

#include <stdint.h>

/* Longest duration that is accepted: a hundred years of 365 days, in milliseconds. */
#define DURATION_MAX_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)
/* Largest size that is accepted: 1024 GiB. */
#define SIZE_MAX_BYTES (INT64_C(1) << 40)
/* Highest rate that is accepted: a million a second. */
#define RATE_MAX_PER_HOUR (INT64_C(1000000) * 3600)

/* Enough for any text that the functions below write. */
enum { DURATION_TEXT_SIZE = 48 };

/* 500ms, 10s, 5m, 2h, 1d, 1w, or several, largest first: 1h30m. CONEY_ESYNTAX,
 * CONEY_ELIMIT. */
enum coney_rc duration_parse(
        const char *text, int64_t *ms, struct coney_error *err) CONEY_MUST_CHECK;
/* In the fewest terms of days and below; @ms is not negative. duration_parse() reads it
 * back. */
void duration_format(int64_t ms, char text[DURATION_TEXT_SIZE]);

/* 4096B, 64K, 300M, 2G: bytes and powers of 1024. CONEY_ESYNTAX, CONEY_ELIMIT. */
enum coney_rc size_parse(
        const char *text, int64_t *bytes, struct coney_error *err) CONEY_MUST_CHECK;
void size_format(int64_t bytes, char text[DURATION_TEXT_SIZE]);

/* 1/s, 10/m, 100/h, at least one; counted per hour. CONEY_ESYNTAX, CONEY_ELIMIT. */
enum coney_rc rate_parse(
        const char *text, int64_t *per_hour, struct coney_error *err) CONEY_MUST_CHECK;
void rate_format(int64_t per_hour, char text[DURATION_TEXT_SIZE]);

#endif /* CONEY_BASE_DURATION_H */
