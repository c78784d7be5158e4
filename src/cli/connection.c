/* SPDX-License-Identifier: MIT */
/* connection.c - from a command line to a connection. */
#include "cli/connection.h"

#include "cli/cli.h"
#include "config/texts.h"
#include "queue/broker.h"

#include <string.h>

/* The list of processes is everybody's to read, and so is the shell's history. */
static int read_url(const char *verb, struct connection *c, const char *text)
{
    struct coney_error err;
    if (url_has_secret(text))
        return cli_usage(verb,
                "--url: everybody can read a password on the command line; leave it out "
                "and set $CONEY_BROKER_PASSWORD or broker.password_file");
    if (text_check_url(text, &err) != CONEY_OK)
        return cli_usage(verb, "--url: %s", err.text);
    c->url = text;
    return CLI_OK;
}

int connection_option(
        const char *verb, struct connection *c, int found, const char *value)
{
    switch (found) {
    case 'c':
        c->config_file = value;
        return CLI_OK;
    case CONNECTION_CA:
        c->ca = value;
        return CLI_OK;
    case CONNECTION_URL:
        return read_url(verb, c, value);
    default:
        return -1;
    }
}

/* Without any file, and none asked for, there are still the defaults. */
static int load_defaults(const char *verb, struct connection *c)
{
    struct mistakes mistakes = {.count = 0};
    struct coney_error err;
    enum coney_rc rc = config_parse("", "built-in", &c->config, &mistakes, &err);
    mistakes_fini(&mistakes);
    return rc == CONEY_OK ? CLI_OK : cli_failure(verb, &err);
}

int connection_load(const char *verb, struct connection *c)
{
    struct mistakes mistakes = {.count = 0};
    struct coney_error err;
    enum coney_rc rc = config_load(c->config_file, &c->config, &mistakes, &err);
    mistakes_fini(&mistakes);
    if (rc == CONEY_OK)
        return CLI_OK;
    if (rc == CONEY_ENOTFOUND && !c->config_file)
        return load_defaults(verb, c);
    return cli_load_config(verb, c->config_file, &c->config); /* says it all */
}

/* A URL of the command line brings its own user; its password, if it is the well-known
 * one of guest. */
static void choose_url(const struct connection *c, struct session_options *o)
{
    if (c->ca)
        o->tls.ca_file = c->ca;
    if (!c->url)
        return;
    o->urls = &c->url;
    o->url_count = 1;
    o->user = NULL;
    if (strstr(c->url, ":guest@"))
        o->password = NULL;
}

int connection_open(const char *verb, struct connection *c)
{
    const struct broker_identity id = {.role = verb};
    struct session_options options;
    struct coney_error err = {.rc = CONEY_ENOMEM, .text = "out of memory"};

    int code = connection_load(verb, c);
    if (code != CLI_OK)
        return code;
    rng_seed_random(&c->rng);
    c->arena = arena_new(0);
    if (!c->arena || broker_options(c->config, &id, c->arena, &options) != CONEY_OK)
        return cli_failure(verb, &err);
    choose_url(c, &options);
    if (wire_open(&options, &c->rng, &c->wire, &err) != CONEY_OK)
        return cli_failure(verb, &err);
    return CLI_OK;
}

void connection_close(struct connection *c)
{
    wire_close(c->wire);
    arena_free(c->arena);
    config_free(c->config);
    c->wire = NULL;
    c->arena = NULL;
    c->config = NULL;
}
