/* SPDX-License-Identifier: MIT */
/* test_print.c - what is printed loads again and prints the same; explanations name their
 * source; secrets stay where they are. */
#include "base/duration.h"
#include "base/rng.h"
#include "config/keys.h"
#include "config/source.h"
#include "unit/with_config.h"

#include <glob.h>

/* As printed; owned by the caller. */
static char *print_of(const struct config *c)
{
    struct buffer out;
    buffer_init(&out, 1 << 24);
    assert_int_equal(config_print(c, &out), CONEY_OK);
    char *text = strndup((char *)buffer_data(&out), buffer_len(&out));
    buffer_fini(&out);
    return text;
}

static char *explanation_of(struct config *c, const char *task)
{
    struct buffer out;
    buffer_init(&out, 1 << 24);
    assert_int_equal(config_explain(c, task, &out), CONEY_OK);
    char *text = strndup((char *)buffer_data(&out), buffer_len(&out));
    buffer_fini(&out);
    return text;
}

/* Printing, reading that and printing again changes nothing. */
static void assert_stable(const char *text)
{
    struct config *c = config_of(text);
    char *first = print_of(c);
    struct config *again = config_of(first);
    char *second = print_of(again);
    assert_string_equal(second, first);
    assert_int_equal(again->worker.concurrency, c->worker.concurrency);
    assert_int_equal(again->class_count, c->class_count);
    assert_int_equal(again->queue_count, c->queue_count);
    assert_int_equal(again->entry_count, c->entry_count);
    assert_int_equal(again->task_patterns.count, c->task_patterns.count);
    free(first);
    free(second);
    config_free(c);
    config_free(again);
}

static void a_default_configuration_prints_every_key_that_has_a_default(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 8}");
    char *text = print_of(c);
    assert_non_null(
            strstr(text, "broker:\n  urls: [\"amqp://guest:***@localhost:5672/\"]\n"
                         "  user: none\n"));
    assert_non_null(strstr(text, "  backoff:\n    base: 500ms\n    cap: 30s\n"));
    assert_non_null(strstr(text, "classes:\n  high:\n    weight: 6\n    reserve: 1\n"
                                 "    max_running: none\n    ageing: none\n"
                                 "    pool: main\n  default:\n"));
    assert_non_null(strstr(text, "queues:\n  coney.high:\n    class: high\n"
                                 "    declare: active\n    type: quorum\n"));
    free(text);
    config_free(c);
}

static void what_is_printed_loads_again_and_prints_the_same(void **state)
{
    (void)state;
    assert_stable("");
    assert_stable("worker: {concurrency: 1}");
    assert_stable("classes: {a: {}}\nqueues: {q: {class: a}, a: {prefetch: 3}}\n");
    assert_stable("broker: {prefix: x, declare: passive, queue_type: classic}\n"
                  "queues: {x.high: , celery: }\n");
    assert_stable("worker: {instance: \"none\", plugins: [\"/a b.so\", '/c\"d.so']}\n");
    assert_stable("tasks:\n"
                  "  \"*\": {retry: {on: [A, \"B C\"]}}\n"
                  "  \"a: b\": {command: [/x, \"\", \"5\", 5, \"\\n\\u0085\\u2028\"]}\n"
                  "  c: {environment: {A: \"\", DB_PASSWORD: s3cret}, command: [/x]}\n");
    assert_stable("schedule:\n"
                  "  \"x y\": {task: \"t#1\", every: 1s, args: [1, \"1\", 1.5, true, "
                  "\"true\", ~, \"~\", {a: []}, {}]}\n"
                  "  z: {task: t, crontab: \"*/5 * * * *\", misfire: {all: 3}}\n");
}

/* A value that key @k allows, chosen by @rng. NULL: leave the key out. */
static const char *random_value(
        const struct key *k, struct rng *rng, char *text, size_t size)
{
    char number[DURATION_TEXT_SIZE];
    int64_t n = k->min + (int64_t)rng_below(rng, (uint64_t)(k->max - k->min) + 1);

    if (k->word && rng_below(rng, 4) == 0)
        return k->word;
    if (k->type == KEY_INTEGER || k->type == KEY_NUMBER)
        snprintf(number, sizeof(number), "%jd", (intmax_t)n);
    else if (k->type == KEY_DURATION)
        duration_format(n, number);
    else if (k->type == KEY_SECONDS)
        duration_format(n - n % 1000, number);
    else if (k->type == KEY_SIZE)
        size_format(n, number);
    else if (k->type == KEY_BOOL)
        return rng_below(rng, 2) ? "true" : "false";
    else if (k->type == KEY_WORD || k->type == KEY_TEXT)
        return "word";
    else
        return NULL;
    snprintf(text, size, "%s", number);
    return text;
}

/* Write the keys below @section that come by chance, one a line. */
static void write_random(FILE *to, const struct key *section, struct rng *rng, int indent)
{
    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++) {
        char text[DURATION_TEXT_SIZE];
        const char *value = NULL;
        if (key_is_below(&table[i], section) && rng_below(rng, 2))
            value = random_value(&table[i], rng, text, sizeof(text));
        if (value)
            fprintf(to, "%*s%s: %s\n", indent, "", key_name(&table[i]), value);
    }
}

/* Not every random text is right; those that are, and they are many, print stably. */
static void random_configurations_print_stably(void **state)
{
    (void)state;
    struct rng rng;
    unsigned right = 0;
    rng_seed(&rng, 17);
    for (int i = 0; i < 300; i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *to = open_memstream(&text, &size);
        fprintf(to, "broker:\n");
        write_random(to, key_find("broker"), &rng, 2);
        fprintf(to, "worker:\n");
        write_random(to, key_find("worker"), &rng, 2);
        fprintf(to, "tasks:\n  a.*:\n");
        write_random(to, key_find("tasks.*"), &rng, 4);
        fprintf(to, "    retry:\n");
        write_random(to, key_find("tasks.*.retry"), &rng, 6);
        fclose(to);

        struct config *c = NULL;
        struct mistakes mistakes = {0};
        if (config_parse(text, "random.yaml", &c, &mistakes, NULL) == CONEY_OK) {
            assert_stable(text);
            right++;
        }
        mistakes_fini(&mistakes);
        config_free(c);
        free(text);
    }
    assert_true(right > 50);
}

static void every_example_loads_but_for_the_files_it_names(void **state)
{
    (void)state;
    glob_t found = {0};
    char pattern[512];
    const char *source = getenv("CONEY_SOURCE_DIR");
    assert_non_null(source);
    snprintf(pattern, sizeof(pattern), "%s/config/*.yaml", source);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 2);

    setenv("CONEY_BROKER_PASSWORD", "instead of the file", 1);
    setenv("CONEY_RESULTS_PASSWORD", "instead of the file", 1);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct config *c = NULL;
        struct mistakes mistakes = {0};
        struct coney_error err = {0};
        if (config_load(found.gl_pathv[i], &c, &mistakes, &err) != CONEY_OK)
            fail_msg("%s", err.text);
        char *text = print_of(c);
        assert_stable(text);
        assert_null(strstr(text, "instead of the file"));
        free(text);
        config_free(c);
    }
    unsetenv("CONEY_RESULTS_PASSWORD");
    unsetenv("CONEY_BROKER_PASSWORD");
    globfree(&found);
}

/* Whether somebody wrote the key at @path, "*" being any name, below @n. */
static bool is_written(const struct node *n, const char *path)
{
    size_t len = strcspn(path, ".");
    bool found = false;
    for (size_t i = 0; !found && n && n->kind == NODE_MAP && i < n->count; i++) {
        const struct member *m = &n->members[i];
        bool fits = *path == '*' ||
                    (strlen(m->name) == len && strncmp(m->name, path, len) == 0);
        if (fits && path[len])
            found = is_written(m->value, path + len + 1);
        else if (fits)
            found = m->at.file != NULL;
    }
    return found;
}

static void the_annotated_example_has_every_key(void **state)
{
    (void)state;
    char path[512];
    const char *source = getenv("CONEY_SOURCE_DIR");
    assert_non_null(source);
    snprintf(path, sizeof(path), "%s/config/coney-full.yaml", source);
    setenv("CONEY_BROKER_PASSWORD", "instead of the file", 1);
    setenv("CONEY_RESULTS_PASSWORD", "instead of the file", 1);
    struct config *c = NULL;
    struct mistakes mistakes = {0};
    assert_int_equal(config_load(path, &c, &mistakes, NULL), CONEY_OK);
    unsetenv("CONEY_BROKER_PASSWORD");
    unsetenv("CONEY_RESULTS_PASSWORD");

    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++)
        if (!is_written(c->source->root, table[i].path))
            fail_msg("%s is not in coney-full.yaml", table[i].path);
    config_free(c);
}

static void secrets_are_neither_printed_nor_explained(void **state)
{
    (void)state;
    setenv("CONEY_BROKER_PASSWORD", "s3cret", 1);
    setenv("CONEY_RESULTS_PASSWORD", "s3cret", 1);
    struct config *c = config_of(
            "broker: {urls: [\"amqp://me:s3cret@h/\"]}\n"
            "results: {url: \"redis://:s3cret@h/\"}\n"
            "tasks: {x: {command: [/x], environment: {DB_PASSWORD: s3cret, A: b}}}\n");
    unsetenv("CONEY_BROKER_PASSWORD");
    unsetenv("CONEY_RESULTS_PASSWORD");
    char *printed = print_of(c);
    char *explained = explanation_of(c, "x");

    assert_null(strstr(printed, "s3cret"));
    assert_null(strstr(explained, "s3cret"));
    assert_non_null(strstr(printed, "amqp://me:***@h/"));
    assert_non_null(strstr(printed, "A: b"));
    assert_non_null(strstr(printed, "redis://:***@h/"));
    assert_string_equal(c->results.password, "s3cret");
    assert_string_equal(c->broker.urls.items[0], "amqp://me:s3cret@h/");
    assert_string_equal(c->broker.password, "s3cret");
    assert_string_equal(
            config_policy(c, "x")->command.environment.items[0], "DB_PASSWORD=s3cret");
    free(printed);
    free(explained);
    config_free(c);
}

/* The line of @text that begins with the key @key has @part. */
static void assert_line(const char *text, const char *key, const char *part)
{
    char start[64];
    snprintf(start, sizeof(start), "\n  %s ", key);
    const char *line = strstr(text, start);
    assert_non_null(line);
    const char *end = strchr(line + 1, '\n');
    const char *found = strstr(line, part);
    if (!found || found > end)
        fail_msg("expected \"%s\" in%.*s", part, (int)(end - line), line);
}

static void an_explanation_names_value_and_source_of_every_key(void **state)
{
    (void)state;
    struct config *c = config_of("tasks:\n"
                                 "  \"*\": {time_limit: 2m, retry: {max: 1}}\n"
                                 "  a.*: {queue: high}\n"
                                 "  a.b: {retry: {base: 5s}, environment: {L: C}, "
                                 "command: [/bin/true]}\n");
    char *text = explanation_of(c, "a.b");
    assert_int_equal(strncmp(text, "task a.b: a command\n", 20), 0);
    assert_line(text, "time_limit", "2m ");
    assert_line(text, "time_limit", "test.yaml:2:21, tasks: \"*\"");
    assert_line(text, "queue", "coney.high ");
    assert_line(text, "queue", "test.yaml:3:16, tasks: \"a.*\"");
    assert_line(text, "retry.base", "test.yaml:4:23, tasks: \"a.b\"");
    assert_line(text, "retry.max", "tasks: \"*\"");
    assert_line(text, "retry.cap", "10m ");
    assert_line(text, "retry.cap", "default");
    assert_line(text, "environment.L", "tasks: \"a.b\"");

    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_task_key = strncmp(table[i].path, "tasks.*.", 8) == 0;
        if (is_task_key && !key_is_section(&table[i]) && table[i].type != KEY_VARIABLES)
            assert_line(text, table[i].path + 8, "");
    }
    free(text);

    text = explanation_of(c, "nobody");
    assert_non_null(strstr(text, "task nobody: not named here"));
    assert_line(text, "queue", "coney.default ");
    assert_line(text, "queue", "default");
    free(text);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_default_configuration_prints_every_key_that_has_a_default),
            cmocka_unit_test(what_is_printed_loads_again_and_prints_the_same),
            cmocka_unit_test(random_configurations_print_stably),
            cmocka_unit_test(every_example_loads_but_for_the_files_it_names),
            cmocka_unit_test(the_annotated_example_has_every_key),
            cmocka_unit_test(secrets_are_neither_printed_nor_explained),
            cmocka_unit_test(an_explanation_names_value_and_source_of_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
