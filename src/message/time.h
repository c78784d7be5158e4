/* SPDX-License-Identifier: MIT */
/*
 * time.h - moments as text: ISO 8601 in the forms that Celery's peers write and read.
 *
 * Python's readers differ by version: "Z", one or seven fraction digits and a missing
 * offset are each refused by some. What we write all of them read; what any of them
 * writes we read.
 */
#ifndef CONEY_MESSAGE_TIME_H
#define CONEY_MESSAGE_TIME_H

#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

/* The years 1 to 9999, which is all that Python has. */
#define TIME_MIN_US INT64_C(-62135596800000000)
#define TIME_MAX_US INT64_C(253402300799999999)

/* "2026-11-20T13:03:53.003744+00:00". A moment outside Python's years becomes the first
 * or last one inside. */
enum { TIME_TEXT_SIZE = 36 };
void time_format(int64_t wall_us, char text[TIME_TEXT_SIZE]);

/* ISO 8601 as Celery's peers write it (offset +HH:MM, +HHMM, +HH, Z or none = UTC; T or
 * space; 0-9 fraction digits, of which the first six count). CONEY_ESYNTAX. */
enum coney_rc time_parse(const char *text, int64_t *wall_us) CONEY_MUST_CHECK;

/* The parts of a date and time as written, for those who care about the spelling. */
struct time_parts {
    int year; /* 1..9999 */
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int micros;
    int fraction_digits;
    int offset_s; /* east of UTC */
    enum { OFFSET_NONE, OFFSET_ZULU, OFFSET_COLON, OFFSET_PLAIN } offset;
};

/* The shared readers: each reads from *@text, which it moves behind what it has read. */
bool time_read_date(const char **text, struct time_parts *parts);
/* HH:MM:SS with fraction and offset. */
bool time_read_clock(const char **text, struct time_parts *parts);

#endif /* CONEY_MESSAGE_TIME_H */
