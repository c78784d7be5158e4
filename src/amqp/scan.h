/* SPDX-License-Identifier: MIT */
/*
 * scan.h - walks encoded field tables before anything is decoded.
 *
 * The decoder recurses into nested tables and allocates for every field. These functions
 * only look: they find out whether every length stays inside its container, how deep it
 * goes and how many fields there are.
 */
#ifndef CONEY_AMQP_SCAN_H
#define CONEY_AMQP_SCAN_H

#include "base/buffer.h"

struct scan_limits {
    unsigned depth_max;  /* a flat table has depth 1 */
    unsigned fields_max; /* over all levels */
};

/* Where the header table of a properties list lies. */
struct scan_headers {
    size_t offset; /* of the table's length; 0 when there are no headers */
    size_t len;    /* its length field included */
};

/* Bytes of a value of @type that has no length of its own; SCAN_NO_SCALAR for others. */
enum { SCAN_NO_SCALAR = 255 };
size_t scan_scalar_size(uint8_t type);

/*
 * @data begins with a table, its length first; *@used is how long it is. CONEY_ESYNTAX
 * when it does not parse, CONEY_ELIMIT when it is too deep or has too many fields; *@used
 * is right in both cases if it fits in @data, else 0.
 */
enum coney_rc scan_table(struct bytes data, const struct scan_limits *limits,
        size_t *used) CONEY_MUST_CHECK;

/*
 * @data is a list of properties of class basic, flags first. As scan_table() for the
 * headers in it, which *@headers locates. When it is the list that does not parse, the
 * answer is CONEY_ESYNTAX and no headers.
 */
enum coney_rc scan_properties(struct bytes data, const struct scan_limits *limits,
        struct scan_headers *headers) CONEY_MUST_CHECK;

#endif /* CONEY_AMQP_SCAN_H */
