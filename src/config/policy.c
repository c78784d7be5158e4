/* SPDX-License-Identifier: MIT */
/*
 * policy.c - which patterns of tasks: speak about a task, and what they say together.
 *
 * Most tasks of a kind are matched by the same patterns, and then differ in nothing but
 * their name. So policies are resolved once per set of patterns, and a name only gets a
 * copy of its own with its name in it.
 */
#include "config/policy.h"

#include "config/source.h"
#include "config/value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    const char *text;
    const struct node *map;
    size_t literal; /* bytes before the first wildcard */
    bool is_exact;
    bool is_any; /* "*" */
    size_t order;
};

/* What a set of patterns says; a policy for whatever name they match. */
struct resolved {
    struct policy policy;
    const size_t *chain; /* indices of patterns, the most specific first */
    size_t chain_count;
    struct resolved *next;
};

enum { NAME_SLOTS = 2 * POLICY_NAMES_MAX };

/* Sets of patterns remembered, beyond one for each. n globs that overlap in every way
 * make 2^n sets; somebody who sends all those names gets nothing more than this. */
enum { RESOLVED_EXTRA = 4096 };

struct policies {
    struct pattern *patterns; /* the most specific first */
    size_t count;
    size_t *chain; /* room for one of count */
    struct resolved *resolved;
    size_t resolved_count;
    struct policy *names[NAME_SLOTS]; /* by hash of the task, open addressing */
    size_t name_count;
};

/* --- patterns ----------------------------------------------------------------------- */

/* Greedy, with one step back to the last star: linear in practice, quadratic at worst. */
bool glob_matches(const char *pattern, const char *name)
{
    const char *star = NULL;
    const char *retry = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            retry = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* Exact before globs, then by literal prefix, then by length; the later wins a tie. */
static int more_specific(const void *left, const void *right)
{
    const struct pattern *a = left;
    const struct pattern *b = right;
    if (a->is_exact != b->is_exact)
        return b->is_exact - a->is_exact;
    if (a->is_any != b->is_any)
        return a->is_any - b->is_any;
    if (a->literal != b->literal)
        return a->literal < b->literal ? 1 : -1;
    size_t a_len = strlen(a->text);
    size_t b_len = strlen(b->text);
    if (a_len != b_len)
        return a_len < b_len ? 1 : -1;
    return a->order < b->order ? 1 : -1;
}

enum coney_rc policies_init(struct config *c)
{
    struct arena *a = c->source->arena;
    const struct node *tasks = node_get(c->source->root, "tasks");
    size_t count = tasks ? tasks->count : 0;
    struct policies *p = arena_alloc(a, sizeof(*p));

    if (!p)
        return CONEY_ENOMEM;
    p->patterns = arena_alloc(a, (count + 1) * sizeof(*p->patterns));
    c->task_patterns.items = arena_alloc(a, (count + 1) * sizeof(char *));
    p->chain = arena_alloc(a, (count + 1) * sizeof(*p->chain));
    if (!p->patterns || !p->chain || !c->task_patterns.items)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *text = tasks->members[i].name;
        size_t literal = strcspn(text, "*?");
        p->patterns[p->count++] = (struct pattern){.text = text,
                .map = tasks->members[i].value,
                .literal = literal,
                .is_exact = text[literal] == '\0',
                .is_any = strcmp(text, "*") == 0,
                .order = i};
        c->task_patterns.items[i] = arena_strdup(a, text);
        if (!c->task_patterns.items[i])
            return CONEY_ENOMEM;
        c->task_patterns.count++;
    }
    qsort(p->patterns, p->count, sizeof(*p->patterns), more_specific);
    c->source->policies = p;
    return CONEY_OK;
}

static bool speaks_about(const struct pattern *p, const char *task)
{
    return p->is_exact ? strcmp(p->text, task) == 0 : glob_matches(p->text, task);
}

/* The first pattern from @from on that speaks about @task; the count when none does. */
static size_t next_pattern(const struct policies *p, const char *task, size_t from)
{
    while (from < p->count && !speaks_about(&p->patterns[from], task))
        from++;
    return from;
}

/* --- what they say ------------------------------------------------------------------ */

static const char *relative_path(const struct key *k)
{
    static const char section[] = "tasks.*.";
    assert(strncmp(k->path, section, sizeof(section) - 1) == 0);
    return k->path + sizeof(section) - 1;
}

const struct node *policy_value(const struct config *c, const char *task,
        const struct key *k, const char **pattern)
{
    const struct policies *p = c->source->policies;
    const char *path = relative_path(k);

    for (size_t i = next_pattern(p, task, 0); i < p->count;
            i = next_pattern(p, task, i + 1)) {
        const struct node *value = node_find(p->patterns[i].map, path);
        if (!value)
            continue;
        if (pattern)
            *pattern = p->patterns[i].text;
        return value;
    }
    if (pattern)
        *pattern = NULL;
    return source_fallback(c->source, k);
}

static bool is_said_before(
        const struct policies *p, const char *task, size_t index, const char *variable)
{
    for (size_t i = next_pattern(p, task, 0); i < index; i = next_pattern(p, task, i + 1))
        if (node_get(node_get(p->patterns[i].map, "environment"), variable))
            return true;
    return false;
}

enum coney_rc policy_each_variable(
        const struct config *c, const char *task, variable_fn each, void *arg)
{
    const struct policies *p = c->source->policies;

    for (size_t i = next_pattern(p, task, 0); i < p->count;
            i = next_pattern(p, task, i + 1)) {
        const struct node *map = node_get(p->patterns[i].map, "environment");
        for (size_t j = 0; map && j < map->count; j++) {
            if (is_said_before(p, task, i, map->members[j].name))
                continue;
            enum coney_rc rc = each(arg, &map->members[j], p->patterns[i].text);
            if (rc != CONEY_OK)
                return rc;
        }
    }
    return CONEY_OK;
}

const struct node *policy_own_map(const struct config *c, const char *task)
{
    const struct policies *p = c->source->policies;
    size_t first = next_pattern(p, task, 0);
    return first < p->count && p->patterns[first].is_exact ? p->patterns[first].map
                                                           : NULL;
}

bool policy_is_sound(const struct config *c, const char *task)
{
    const struct policies *p = c->source->policies;
    for (size_t i = next_pattern(p, task, 0); i < p->count;
            i = next_pattern(p, task, i + 1))
        if (!is_sound(p->patterns[i].map))
            return false;
    return true;
}

/* --- resolving ---------------------------------------------------------------------- */

struct collected {
    struct arena *arena;
    struct string_list *list;
    size_t capacity;
};

static enum coney_rc collect_variable(
        void *arg, const struct member *variable, const char *pattern)
{
    struct collected *to = arg;
    (void)pattern;
    if (to->list->count == to->capacity) {
        size_t capacity = to->capacity ? 2 * to->capacity : 8;
        char **grown = arena_alloc(to->arena, capacity * sizeof(char *));
        if (!grown)
            return CONEY_ENOMEM;
        if (to->list->count)
            memcpy(grown, to->list->items, to->list->count * sizeof(char *));
        to->list->items = grown;
        to->capacity = capacity;
    }
    char *text = arena_printf(to->arena, "%s=%s", variable->name, variable->value->text);
    if (!text)
        return CONEY_ENOMEM;
    to->list->items[to->list->count++] = text;
    return CONEY_OK;
}

static enum coney_rc store_keys(struct config *c, const char *task, struct policy *policy)
{
    size_t count;
    const struct key *table = key_table(&count);
    const struct key *tasks = key_find("tasks.*");
    unsigned bit = 0;

    for (const struct key *k = tasks + 1; k < table + count; k++) {
        if (strncmp(k->path, "tasks.*.", 8) != 0)
            break;
        const char *pattern = NULL;
        const struct node *node = policy_value(c, task, k, &pattern);
        assert(bit < 64);
        policy->said |= pattern ? UINT64_C(1) << bit : 0;
        bit++;
        if (k->store == STORE_NONE || !node)
            continue;
        struct value value;
        struct mistakes mistakes = {0};
        enum coney_rc rc = value_read(k, node, c->source->arena, &mistakes, &value);
        assert(mistakes.count == 0);
        if (rc != CONEY_OK)
            return rc;
        value_store(k, &value, policy);
    }
    return CONEY_OK;
}

/* Whoever is most specific about either of command and server decides between them. */
static enum handler_kind handler_of(
        const struct config *c, const char *task, const struct policy *policy)
{
    const struct policies *p = c->source->policies;
    const struct command_policy *command = &policy->command;

    for (size_t i = next_pattern(p, task, 0); i < p->count;
            i = next_pattern(p, task, i + 1)) {
        bool has_server = node_get(p->patterns[i].map, "server") != NULL;
        bool has_command = node_get(p->patterns[i].map, "command") != NULL;
        if (has_server && command->server.count > 0)
            return HANDLER_SERVER;
        if (has_command && command->argv.count > 0)
            return HANDLER_COMMAND;
        if (has_server || has_command)
            break;
    }
    return HANDLER_NATIVE;
}

/* The queue that a task is sent to when nobody says: that of the class "default". */
static const char *default_queue(const struct config *c)
{
    const struct queue_config *queue = config_queue(c, "default");
    return queue ? queue->name : c->queues[0].name;
}

/* Our queue of that name or class, else one that others consume. */
static const char *target_of(const struct config *c, const char *name)
{
    const struct queue_config *queue = config_queue(c, name);

    if (queue)
        return queue->name;
    return config_allows_target(c, name) ? name : default_queue(c);
}

enum coney_rc policy_resolve(struct config *c, const char *task, struct policy *out)
{
    const struct policies *p = c->source->policies;
    size_t first = next_pattern(p, task, 0);
    const struct pattern *best = first < p->count ? &p->patterns[first] : NULL;
    struct collected to = {.arena = c->source->arena, .list = &out->command.environment};

    *out = (struct policy){0};
    enum coney_rc rc = store_keys(c, task, out);
    if (rc == CONEY_OK)
        rc = policy_each_variable(c, task, collect_variable, &to);
    if (rc != CONEY_OK)
        return rc;

    const struct node *named = policy_value(c, task, key_find("tasks.*.queue"), NULL);
    out->queue = arena_strdup(
            c->source->arena, named ? target_of(c, named->text) : default_queue(c));
    out->task = arena_strdup(c->source->arena, best ? best->text : "*");
    out->handler = handler_of(c, task, out);
    out->known = (best && !best->is_any) || out->handler != HANDLER_NATIVE;
    return out->queue && out->task ? CONEY_OK : CONEY_ENOMEM;
}

/* Put into p->chain which patterns speak about @task; returns how many. */
static size_t find_chain(struct policies *p, const char *task)
{
    size_t count = 0;
    for (size_t i = next_pattern(p, task, 0); i < p->count;
            i = next_pattern(p, task, i + 1))
        p->chain[count++] = i;
    return count;
}

/* The policy shared by all names that the same patterns match. */
static const struct policy *resolved_for(struct config *c, const char *task)
{
    struct policies *p = c->source->policies;
    size_t count = find_chain(p, task);
    size_t size = count * sizeof(*p->chain);

    for (const struct resolved *r = p->resolved; r; r = r->next)
        if (r->chain_count == count && memcmp(r->chain, p->chain, size) == 0)
            return &r->policy;
    if (p->resolved_count == p->count + RESOLVED_EXTRA)
        return NULL;

    struct resolved *r = arena_alloc(c->source->arena, sizeof(*r));
    if (!r)
        return NULL;
    const struct bytes chain =
            arena_copy(c->source->arena, (struct bytes){p->chain, size});
    if (!chain.data || policy_resolve(c, task, &r->policy) != CONEY_OK)
        return NULL;
    r->chain = chain.data;
    r->chain_count = count;
    r->next = p->resolved;
    p->resolved = r;
    p->resolved_count++;
    return &r->policy;
}

/* FNV-1a; names that collide on purpose cost their sender's tasks a few comparisons. */
static size_t slot_of(const char *task)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *s = task; *s; s++)
        hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    return (size_t)(hash % NAME_SLOTS);
}

const struct policy *config_policy(struct config *c, const char *task)
{
    struct policies *p = c->source->policies;
    size_t slot = slot_of(task);

    while (p->names[slot] && strcmp(p->names[slot]->task, task) != 0)
        slot = (slot + 1) % NAME_SLOTS;
    if (p->names[slot])
        return p->names[slot];

    const struct policy *shared = resolved_for(c, task);
    if (!shared || p->name_count == POLICY_NAMES_MAX)
        return shared;
    struct policy *own = arena_alloc(c->source->arena, sizeof(*own));
    if (!own)
        return NULL;
    *own = *shared;
    own->task = arena_strdup(c->source->arena, task);
    if (!own->task)
        return NULL;
    p->names[slot] = own;
    p->name_count++;
    return own;
}

bool policy_says(const struct policy *policy, const char *key)
{
    size_t count;
    const struct key *table = key_table(&count);
    const struct key *tasks = key_find("tasks.*");

    for (const struct key *k = tasks + 1; k < table + count; k++)
        if (strncmp(k->path, "tasks.*.", 8) == 0 && strcmp(relative_path(k), key) == 0)
            return policy->said >> (k - tasks - 1) & 1;
    return false;
}

bool config_allows_target(const struct config *c, const char *name)
{
    const struct string_list *foreign = &c->worker.foreign;

    for (size_t i = 0; i < c->queue_count; i++)
        if (strcmp(c->queues[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < foreign->count; i++)
        if (glob_matches(foreign->items[i], name))
            return true;
    return false;
}

bool retry_policy_covers(const struct retry_policy *r, const char *error_type)
{
    for (size_t i = 0; i < r->not_on.count; i++)
        if (strcmp(r->not_on.items[i], error_type) == 0)
            return false;
    for (size_t i = 0; i < r->on.count; i++)
        if (strcmp(r->on.items[i], error_type) == 0)
            return true;
    return r->on.count == 0;
}
