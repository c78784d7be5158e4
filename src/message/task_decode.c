/* SPDX-License-Identifier: MIT */
/* task_decode.c - an envelope taken apart: headers first, so that errors can say whose.
 */
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "message/body.h"
#include "message/embed.h"
#include "message/protocol1.h"
#include "message/task.h"
#include "message/task_headers.h"

#include <stdio.h>
#include <string.h>

enum { BYTES_PER_VALUE = 16, VALUES_MIN = 4096 };

struct message_limits message_limits_default(void)
{
    return (struct message_limits){.body_max = (size_t)16 << 20,
            .ratio_max = 100,
            .depth_max = 64,
            .name_max = 255};
}

struct json_limits message_json_limits(const struct message_limits *limits)
{
    size_t values = limits->body_max / BYTES_PER_VALUE;

    return (struct json_limits){.text_max = limits->body_max,
            .values_max = values > VALUES_MIN ? values : VALUES_MIN,
            .depth_max = limits->depth_max};
}

static enum coney_rc take_elements(
        const json_t *root, struct task_request *r, struct coney_error *err)
{
    if (json_array_size(root) != 3)
        return error_set(err, CONEY_ESYNTAX, "body is not an array of three");
    r->args = json_incref(json_array_get(root, 0));
    r->kwargs = json_incref(json_array_get(root, 1));
    r->embed = json_incref(json_array_get(root, 2));
    if (!json_is_array(r->args))
        return error_set(err, CONEY_ESYNTAX, "args (first of the body) is not an array");
    if (!json_is_object(r->kwargs))
        return error_set(
                err, CONEY_ESYNTAX, "kwargs (second of the body) is not an object");
    return embed_check_read(r->embed, err);
}

static enum coney_rc read_body(const struct envelope *e,
        const struct message_limits *limits, struct task_request *r,
        struct coney_error *err)
{
    const struct json_limits json_limits = message_json_limits(limits);
    json_t *root = NULL;

    enum coney_rc rc = body_text(e, limits, r->arena, &r->body, err);
    if (rc == CONEY_OK) {
        rc = json_read(r->body, &json_limits, &root, err);
        if (rc != CONEY_OK)
            error_prefix(err, "body");
    }
    if (rc == CONEY_OK)
        rc = take_elements(root, r, err);
    json_decref(root);
    return rc;
}

/* Behind the reason, so that no long name can push the reason out. */
static void name_task(const struct task_request *r, struct coney_error *err)
{
    const char *const names[] = {r->task, r->id};
    static const char *const labels[] = {"task", "id"};

    for (size_t i = 0; err && i < 2; i++) {
        char shown[48];
        size_t len = strlen(err->text);
        if (!names[i])
            continue;
        utf8_printable(shown, sizeof(shown),
                (struct bytes){.data = names[i], .len = strlen(names[i])});
        snprintf(err->text + len, sizeof(err->text) - len, "%s%s=%s",
                i == 0 || !r->task ? "  " : " ", labels[i], shown);
    }
}

static struct task_request *request_new(void)
{
    struct arena *a = arena_new(0);
    struct task_request *r = a ? arena_alloc(a, sizeof(*r)) : NULL;

    if (!r) {
        arena_free(a);
        return NULL;
    }
    r->arena = a;
    return r;
}

enum coney_rc task_decode(const struct envelope *e, const struct message_limits *limits,
        struct task_request **out, struct coney_error *err)
{
    struct task_request *r = request_new();

    *out = NULL;
    if (!r)
        return error_set_nomem(err);
    enum coney_rc rc = task_headers_read(e, limits->name_max, r, err);
    if (rc == CONEY_OK)
        rc = read_body(e, limits, r, err);
    if (rc != CONEY_OK)
        goto out;
    *out = r;
    r = NULL;
out:
    if (r)
        name_task(r, err);
    task_request_free(r);
    return rc;
}

enum coney_rc task_receive(struct envelope *e, const struct message_limits *limits,
        struct task_request **out, struct coney_error *err)
{
    const struct envelope as_it_came = *e;

    *out = NULL;
    enum coney_rc rc = protocol1_upgrade(e, limits, err);
    if (rc == CONEY_OK)
        rc = task_decode(e, limits, out, err);
    if (rc != CONEY_OK)
        *e = as_it_came;
    return rc;
}

void task_request_free(struct task_request *r)
{
    if (!r)
        return;
    json_decref(r->args);
    json_decref(r->kwargs);
    json_decref(r->embed);
    arena_free(r->arena); /* @r lies in it */
}
