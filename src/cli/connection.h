/* SPDX-License-Identifier: MIT */
/*
 * connection.h - the options by which a verb finds the broker, and the connection that
 * they lead to.
 */
#ifndef CONEY_CLI_CONNECTION_H
#define CONEY_CLI_CONNECTION_H

#include "base/arena.h"
#include "base/rng.h"
#include "cli/wire.h"
#include "config/config.h"

struct connection {
    const char
            *config_file; /* NULL: where it is looked for; then the built-in defaults */
    const char *url;      /* instead of the configuration's */
    const char *ca;
    struct config *config; /* owned, as is the rest */
    struct arena *arena;
    struct rng rng;
    struct wire *wire;
};

/* For getopt_long(), and its codes, which begin above those of the verbs. */
enum { CONNECTION_URL = 1000, CONNECTION_CA };
#define CONNECTION_OPTIONS                                    \
    {"config", required_argument, NULL, 'c'},                 \
            {"url", required_argument, NULL, CONNECTION_URL}, \
    {                                                         \
        "ca", required_argument, NULL, CONNECTION_CA          \
    }
#define CONNECTION_HELP                                                                  \
    "  --url URL          amqps://user@host/vhost instead of the configuration's; the\n" \
    "                     password from $CONEY_BROKER_PASSWORD or the configuration\n"   \
    "  --ca FILE          certificate authority of --url\n"                              \
    "  -c, --config FILE  see coney check --help\n"

/* Take the option @found with its @value. -1: it is none of these; else an exit code. */
int connection_option(
        const char *verb, struct connection *c, int found, const char *value);

/* Read the configuration and connect as "coney @verb". CLI_OK, or why not has been said
 * and this is the exit code. connection_close() in any case. */
int connection_open(const char *verb, struct connection *c);
/* Only read the configuration. */
int connection_load(const char *verb, struct connection *c);
void connection_close(struct connection *c);

#endif /* CONEY_CLI_CONNECTION_H */
