/* SPDX-License-Identifier: MIT */
/*
 * canvas_send [wait] - send the canvas on standard input, of one line, as a program of
 * the library's would: {"task": ..., "args": ...}, {"chain": [...]}, {"group": [...]} or
 * {"chord": [...], "body": ...}, each with "link", "link_error" and "immutable".
 *
 * Prints the id and the result tuple; with `wait` also what came of it. $CONEY_CONFIG.
 */
#include <coney/coney.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS_MAX = 64, WAIT_MS = 60000 };

static struct coney_canvas *build(const json_t *spec);

static size_t build_all(const json_t *list, struct coney_canvas **out)
{
    size_t count = 0;

    while (count < json_array_size(list) && count < TASKS_MAX) {
        out[count] = build(json_array_get(list, count));
        count++;
    }
    return count;
}

static struct coney_canvas *signature(const json_t *spec)
{
    struct coney_message m;
    const json_t *args = json_object_get(spec, "args");
    char *text = args ? json_dumps(args, JSON_ENCODE_ANY) : NULL;

    coney_message_init(&m, json_string_value(json_object_get(spec, "task")));
    m.args = text;
    m.queue = json_string_value(json_object_get(spec, "queue"));
    m.id = json_string_value(json_object_get(spec, "id"));
    m.countdown_ms = json_integer_value(json_object_get(spec, "countdown_ms"));
    struct coney_canvas *c = coney_signature(&m);
    free(text);
    return c;
}

static struct coney_canvas *compound(const json_t *spec)
{
    struct coney_canvas *parts[TASKS_MAX];

    if (json_object_get(spec, "chain"))
        return coney_chain(parts, build_all(json_object_get(spec, "chain"), parts));
    if (json_object_get(spec, "group"))
        return coney_group(parts, build_all(json_object_get(spec, "group"), parts));
    size_t count = build_all(json_object_get(spec, "chord"), parts);
    return coney_chord(parts, count, build(json_object_get(spec, "body")));
}

static struct coney_canvas *build(const json_t *spec)
{
    struct coney_canvas *c =
            json_object_get(spec, "task") ? signature(spec) : compound(spec);

    if (json_is_true(json_object_get(spec, "immutable")))
        coney_immutable(c);
    if (json_object_get(spec, "link"))
        coney_link(c, build(json_object_get(spec, "link")));
    if (json_object_get(spec, "link_error"))
        coney_link_error(c, build(json_object_get(spec, "link_error")));
    return c;
}

static enum coney_rc await(
        struct coney_client *client, const char *id, struct coney_error *err)
{
    struct coney_result *result = NULL;
    enum coney_rc rc = coney_wait(client, id, WAIT_MS, &result, err);

    if (rc != CONEY_OK)
        return rc;
    if (result->status == CONEY_STATUS_SUCCESS)
        printf("%s\n", result->value);
    else
        printf("\"%s: %s\"\n", result->error_type, result->error_text);
    coney_result_free(result);
    return CONEY_OK;
}

int main(int argc, char **argv)
{
    struct coney_client *client = NULL;
    struct coney_canvas *canvas = NULL;
    struct coney_error err;
    char id[CONEY_ID_SIZE];
    json_t *spec = json_loadf(stdin, 0, NULL);
    (void)argv;

    enum coney_rc rc = coney_client_new(NULL, &client, &err);
    if (rc == CONEY_OK) {
        canvas = build(spec);
        rc = coney_canvas_send(client, canvas,
                argc > 1 ? CONEY_REPLY_WANTED : CONEY_REPLY_NONE, id, &err);
    }
    if (rc == CONEY_OK) {
        printf("\"%s\"\n%s\n", id, coney_canvas_results(canvas));
        rc = argc > 1 ? await(client, id, &err) : CONEY_OK;
    }
    if (rc != CONEY_OK)
        fprintf(stderr, "canvas_send: %s: %s\n", coney_rc_name(rc), err.text);
    coney_canvas_free(canvas);
    coney_client_free(client);
    json_decref(spec);
    return rc == CONEY_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
