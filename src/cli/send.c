/* SPDX-License-Identifier: MIT */
/* send.c - `coney send`: one task, or many of the same, through libconey. */
#include "cli/send.h"

#include "base/clock.h"
#include "cli/cli.h"

#include <stdio.h>

/* Beside the exit codes that all verbs have. */
enum { SEND_NO_RESULT = 2 };

static int print_line(const char *text)
{
    if (printf("%s\n", text) < 0 || fflush(stdout) != 0)
        return cli_failure(
                "send", &(struct coney_error){.text = "can't write to standard output"});
    return CLI_OK;
}

static int show_result(const struct coney_result *r)
{
    if (r->status == CONEY_STATUS_SUCCESS)
        return print_line(r->value);
    fprintf(stderr, "coney send: task %s %s: %s%s%s\n", r->id,
            r->status == CONEY_STATUS_REVOKED ? "was revoked" : "failed",
            r->error_type ? r->error_type : "unknown error", r->error_text ? ": " : "",
            r->error_text ? r->error_text : "");
    return CLI_FAILURE;
}

static int wait_for_result(
        struct coney_client *client, const char *id, const struct send_options *o)
{
    struct coney_result *result = NULL;
    struct coney_error err;
    enum coney_rc rc = coney_wait(client, id, o->timeout_ms, &result, &err);
    if (rc == CONEY_ETIMEOUT) {
        cli_failure("send", &err);
        return SEND_NO_RESULT;
    }
    if (rc != CONEY_OK)
        return cli_failure("send", &err);
    int code = show_result(result);
    coney_result_free(result);
    return code;
}

static int send_one(struct coney_client *client, const struct send_options *o)
{
    char id[CONEY_ID_SIZE];
    struct coney_error err;
    if (coney_send(client, &o->message, id, &err) != CONEY_OK)
        return cli_failure("send", &err);
    if (o->is_waiting)
        return wait_for_result(client, id, o);
    return print_line(id);
}

/* Confirms are awaited all together, at the end. */
static int send_many(struct coney_client *client, const struct send_options *o)
{
    char id[CONEY_ID_SIZE];
    struct coney_error err;
    int64_t start_ms = clock_mono_ms();
    unsigned flush_ms = o->client.timeout_ms > 0 ? o->client.timeout_ms : 30000;
    for (unsigned i = 0; i < o->count; i++) {
        if (coney_send_async(client, &o->message, id, &err) != CONEY_OK)
            return cli_failure("send", &err);
        if (printf("%s\n", id) < 0)
            return print_line("");
    }
    if (coney_flush(client, flush_ms + 1000, &err) != CONEY_OK)
        return cli_failure("send", &err);
    double seconds = (double)(clock_mono_ms() - start_ms + 1) / 1000.0;
    fprintf(stderr, "coney send: %u sent in %.2f s, %.0f a second\n", o->count, seconds,
            o->count / seconds);
    return fflush(stdout) == 0 ? CLI_OK : print_line("");
}

/* The client knows the first mistake of a configuration; people want all of them. */
static int refuse(const struct send_options *o, const struct coney_error *err)
{
    struct config *c = NULL;
    bool is_named = o->client.config_file != NULL;
    if (err->rc != CONEY_ESYNTAX && !(err->rc == CONEY_EIO && is_named))
        return cli_failure("send", err);
    int code = cli_load_config("send", o->client.config_file, &c);
    config_free(c);
    return code != CLI_OK ? code : cli_failure("send", err);
}

static int send_all(const struct send_options *o)
{
    struct coney_client *client = NULL;
    struct coney_error err;
    if (coney_client_new(&o->client, &client, &err) != CONEY_OK)
        return refuse(o, &err);
    int code = o->count == 1 ? send_one(client, o) : send_many(client, o);
    coney_client_free(client);
    return code;
}

int cli_send(int argc, char **argv)
{
    struct send_options options;
    bool go = false;
    struct arena *a = arena_new(0);
    if (!a)
        return cli_failure("send", &(struct coney_error){.text = "out of memory"});
    int code = send_read_options(argc, argv, a, &options, &go);
    if (go)
        code = send_all(&options);
    arena_free(a);
    return code;
}
