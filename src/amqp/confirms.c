/* SPDX-License-Identifier: MIT */
/* confirms.c - a ring of publishes, indexed by their number. */
#include "amqp/confirms.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void confirms_init(struct confirms *c)
{
    *c = (struct confirms){.first = 1, .next = 1, .returned = 1};
}

void confirms_fini(struct confirms *c)
{
    free(c->ring);
    confirms_init(c);
}

static struct confirm *slot(const struct confirms *c, uint64_t number)
{
    return &c->ring[number & (c->capacity - 1)];
}

enum coney_rc confirms_reserve(struct confirms *c)
{
    if (c->next - c->first < c->capacity)
        return CONEY_OK;
    if (c->capacity >= CONFIRMS_MAX)
        return CONEY_ELIMIT;

    struct confirms grown = *c;
    grown.capacity = c->capacity > 0 ? c->capacity * 2 : FIRST_CAPACITY;
    grown.ring = malloc(grown.capacity * sizeof(*grown.ring));
    if (!grown.ring)
        return CONEY_ENOMEM;
    for (uint64_t n = c->first; n < c->next; n++)
        *slot(&grown, n) = *slot(c, n);
    free(c->ring);
    *c = grown;
    return CONEY_OK;
}

void confirms_add(struct confirms *c, uint64_t cookie, uint64_t route)
{
    assert(c->next - c->first < c->capacity);
    *slot(c, c->next) = (struct confirm){.cookie = cookie, .route = route};
    c->next++;
    c->outstanding++;
}

static struct confirm *find_route(
        struct confirms *c, uint64_t from, uint64_t to, uint64_t route)
{
    for (uint64_t n = from; n < to; n++) {
        struct confirm *p = slot(c, n);
        if (p->route != route || p->is_settled || p->is_returned)
            continue;
        c->returned = n + 1;
        return p;
    }
    return NULL;
}

bool confirms_return(struct confirms *c, uint64_t route, uint64_t *cookie)
{
    if (c->returned < c->first)
        c->returned = c->first;
    uint64_t from = c->returned;
    struct confirm *p = find_route(c, from, c->next, route);
    if (!p)
        p = find_route(c, c->first, from, route);
    if (!p)
        return false;
    p->is_returned = true;
    *cookie = p->cookie;
    return true;
}

bool confirms_knows(const struct confirms *c, uint64_t number)
{
    return number > 0 && number < c->next;
}

static void pass_settled(struct confirms *c)
{
    while (c->first < c->next && slot(c, c->first)->is_settled)
        c->first++;
}

bool confirms_settle(struct confirms *c, uint64_t number, struct confirm *settled)
{
    if (number < c->first || number >= c->next)
        return false;
    struct confirm *p = slot(c, number);
    if (p->is_settled)
        return false;
    p->is_settled = true;
    *settled = *p;
    c->outstanding--;
    if (number == c->first)
        pass_settled(c);
    return true;
}

bool confirms_settle_first(struct confirms *c, uint64_t number, struct confirm *settled)
{
    if (number >= c->next)
        number = c->next - 1;
    return c->first <= number && confirms_settle(c, c->first, settled);
}
