/* SPDX-License-Identifier: MIT */
/* plan.c - loading a generation, all or nothing, and comparing two. */
#include "beat/plan.h"

#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct plan_file look_at(const char *path)
{
    struct stat st;

    if (!path || stat(path, &st) != 0)
        return (struct plan_file){.inode = 0};
    return (struct plan_file){
            .inode = (int64_t)st.st_ino,
            .size = st.st_size,
            .changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
    };
}

static enum coney_rc fill(struct plan *p, struct coney_error *err)
{
    const struct broker_config *b = &p->config->broker;
    const char *files[PLAN_TLS_FILES] = {b->tls.ca, b->tls.cert, b->tls.key, b->tls.crl};

    if (p->config->entry_count > TOKEN_ENTRIES_MAX)
        return error_set(err, CONEY_ELIMIT,
                "schedule: %zu entries are more than one beat can keep (%d); give some to "
                "a beat of another name",
                p->config->entry_count, TOKEN_ENTRIES_MAX);
    for (size_t i = 0; i < PLAN_TLS_FILES; i++)
        p->tls[i] = look_at(files[i]);
    enum coney_rc rc =
            topology_new(p->config, TOPOLOGY_TASKS | TOPOLOGY_TOKEN, &p->topology, err);
    if (rc == CONEY_OK && agenda_new(p->config->entries, p->config->entry_count,
                                  &p->agenda) != CONEY_OK)
        rc = error_set_nomem(err);
    return rc;
}

enum coney_rc plan_load(const char *path, struct plan **out, struct mistakes *mistakes,
        struct coney_error *err)
{
    struct plan *p = calloc(1, sizeof(*p));

    *out = NULL;
    if (!p)
        return error_set_nomem(err);
    enum coney_rc rc = config_load(path, &p->config, mistakes, err);
    if (rc == CONEY_OK)
        rc = fill(p, err);
    if (rc != CONEY_OK) {
        plan_free(p);
        return rc;
    }
    *out = p;
    return CONEY_OK;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    agenda_free(p->agenda);
    topology_free(p->topology);
    config_free(p->config);
    free(p);
}

static bool is_same_file(const struct plan_file *a, const struct plan_file *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed_ns == b->changed_ns;
}

bool plan_has_same_broker(const struct plan *a, const struct plan *b)
{
    const struct broker_config *x = &a->config->broker;
    const struct broker_config *y = &b->config->broker;

    for (size_t i = 0; i < PLAN_TLS_FILES; i++)
        if (!is_same_file(&a->tls[i], &b->tls[i]))
            return false;
    return texts_are_same((const char *const *)x->urls.items, x->urls.count,
                   (const char *const *)y->urls.items, y->urls.count) &&
           text_is_same(x->user, y->user) && text_is_same(x->password, y->password) &&
           text_is_same(x->prefix, y->prefix) && text_is_same(x->tls.ca, y->tls.ca) &&
           text_is_same(x->tls.cert, y->tls.cert) &&
           text_is_same(x->tls.key, y->tls.key) && text_is_same(x->tls.crl, y->tls.crl) &&
           text_is_same(x->tls.server_name, y->tls.server_name) &&
           x->tls.verify == y->tls.verify && x->external == y->external &&
           x->heartbeat_s == y->heartbeat_s &&
           x->connect_timeout_ms == y->connect_timeout_ms &&
           x->backoff_base_ms == y->backoff_base_ms &&
           x->backoff_cap_ms == y->backoff_cap_ms &&
           text_is_same(a->config->beat.name, b->config->beat.name);
}
