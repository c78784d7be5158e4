/* SPDX-License-Identifier: MIT */
/* test_config.c - files to structs: defaults, merging, where files are found, secrets. */
#include "config/config.h"
#include "unit/with_config.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files of a test ---------------------------------------------------------------- */

struct home {
    char *path;
};

static int make_home(void **state)
{
    struct home *home = malloc(sizeof(*home));
    assert_non_null(home);
    home->path = test_directory();
    *state = home;
    unsetenv("CONEY_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("CONEY_BROKER_PASSWORD");
    setenv("HOME", home->path, 1);
    return 0;
}

static int remove_home(void **state)
{
    struct home *home = *state;
    test_remove_tree(home->path);
    free(home->path);
    free(home);
    return 0;
}

/* Write @text to @name below the test's home, making directories; owned by the caller. */
static char *write_file(const struct home *home, const char *name, const char *text)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", home->path, name) > 0);
    for (char *slash = strchr(path + strlen(home->path) + 1, '/'); slash;
            slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

static void put_file(const struct home *home, const char *name, const char *text)
{
    free(write_file(home, name, text));
}

/* Load, with nothing wrong. */
static struct config *load(const char *path)
{
    struct config *c = NULL;
    struct mistakes mistakes = {0};
    struct coney_error err = {0};
    if (config_load(path, &c, &mistakes, &err) != CONEY_OK)
        fail_msg("%s: %s", path ? path : "(searched)", err.text);
    return c;
}

static void assert_load_fails(const char *path, enum coney_rc rc, const char *part)
{
    struct config *c = NULL;
    struct mistakes mistakes = {0};
    struct coney_error err = {0};
    assert_int_equal(config_load(path, &c, &mistakes, &err), rc);
    assert_null(c);
    if (!strstr(err.text, part))
        fail_msg("expected \"%s\" in \"%s\"", part, err.text);
    mistakes_fini(&mistakes);
}

/* --- defaults ----------------------------------------------------------------------- */

static void an_empty_text_gives_every_default(void **state)
{
    (void)state;
    struct config *c = config_of("");

    assert_int_equal(c->broker.urls.count, 1);
    assert_string_equal(c->broker.urls.items[0], "amqp://guest:guest@localhost:5672/");
    assert_null(c->broker.user);
    assert_null(c->broker.password);
    assert_null(c->broker.tls.ca);
    assert_true(c->broker.tls.verify);
    assert_false(c->broker.external);
    assert_int_equal(c->broker.heartbeat_s, 20);
    assert_int_equal(c->broker.connect_timeout_ms, 10000);
    assert_int_equal(c->broker.backoff_base_ms, 500);
    assert_int_equal(c->broker.backoff_cap_ms, 30000);
    assert_string_equal(c->broker.prefix, "coney");
    assert_int_equal(c->broker.declare, DECLARE_ACTIVE);
    assert_int_equal(c->broker.queue_type, QUEUE_QUORUM);
    assert_int_equal(c->worker.priority, PRIORITY_WEIGHTED);
    assert_null(c->worker.instance);
    assert_int_equal(c->worker.plugins.count, 0);
    assert_int_equal(c->worker.held_max, 0);
    assert_int_equal(c->worker.prefetch, 0);
    assert_int_equal(c->worker.drain_timeout_ms, 60000);
    assert_int_equal(c->worker.orphan_ttl_ms, 600000);
    assert_int_equal(c->worker.orphans_max, 1024);
    assert_int_equal(c->worker.poison_limit, 20);
    assert_int_equal(c->worker.unknown_task_ttl_ms, 600000);
    assert_int_equal(c->worker.body_max, 16 * 1024 * 1024);
    assert_int_equal(c->worker.log_level, LOG_LEVEL_INFO);
    assert_true(c->worker.results);
    assert_string_equal(c->beat.name, "main");
    assert_string_equal(c->beat.timezone, "UTC");
    assert_int_equal(c->entry_count, 0);
    assert_int_equal(c->task_patterns.count, 0);
    config_free(c);
}

static void concurrency_is_by_default_what_processors_we_may_use(void **state)
{
    (void)state;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    struct config *c = config_of("");
    assert_int_equal(c->worker.concurrency, CPU_COUNT(&set));
    config_free(c);
}

static void the_three_classes_of_the_design_are_the_default(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 8}");
    static const char *const names[] = {"high", "default", "low"};
    static const struct class_config expected[] = {
            {.weight = 6, .reserve = 1, .ageing_ms = CONFIG_NONE},
            {.weight = 3, .ageing_ms = CONFIG_NONE},
            {.weight = 1, .max_running = 4, .ageing_ms = 600000}};

    assert_int_equal(c->class_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(c->classes[i].name, names[i]);
        assert_int_equal(c->classes[i].weight, expected[i].weight);
        assert_int_equal(c->classes[i].reserve, expected[i].reserve);
        assert_int_equal(c->classes[i].max_running, expected[i].max_running);
        assert_int_equal(c->classes[i].ageing_ms, expected[i].ageing_ms);
        assert_string_equal(c->classes[i].pool, "main");
    }
    config_free(c);
}

static void a_single_runner_is_reserved_for_nobody_by_default(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 1}");
    assert_int_equal(c->classes[0].reserve, 0);
    config_free(c);
}

static void classes_that_are_written_replace_the_three(void **state)
{
    (void)state;
    struct config *c = config_of("classes:\n  fast: {weight: 2}\n  slow:\n");
    assert_int_equal(c->class_count, 2);
    assert_string_equal(c->classes[0].name, "fast");
    assert_int_equal(c->classes[0].weight, 2);
    assert_string_equal(c->classes[1].name, "slow");
    assert_int_equal(c->classes[1].weight, 1);
    assert_int_equal(c->queue_count, 2);
    assert_string_equal(c->queues[1].name, "coney.slow");
    config_free(c);
}

/* --- every key ---------------------------------------------------------------------- */

static void every_key_of_broker_is_stored(void **state)
{
    (void)state;
    struct config *c = config_of("broker:\n"
                                 "  urls: [\"amqps://a@h1/\", \"amqps://h2:1234/v\"]\n"
                                 "  user: me\n"
                                 "  auth: external\n"
                                 "  tls:\n"
                                 "    ca: /ca\n"
                                 "    cert: /cert\n"
                                 "    key: /key\n"
                                 "    crl: /crl\n"
                                 "    server_name: name\n"
                                 "    verify: false\n"
                                 "  heartbeat: 1m\n"
                                 "  connect_timeout: 3s\n"
                                 "  backoff: {base: 1s, cap: 1m}\n"
                                 "  prefix: rabbit\n"
                                 "  declare: passive\n"
                                 "  queue_type: classic\n");
    const struct broker_config *b = &c->broker;
    assert_int_equal(b->urls.count, 2);
    assert_string_equal(b->urls.items[1], "amqps://h2:1234/v");
    assert_string_equal(b->user, "me");
    assert_true(b->external);
    assert_string_equal(b->tls.ca, "/ca");
    assert_string_equal(b->tls.cert, "/cert");
    assert_string_equal(b->tls.key, "/key");
    assert_string_equal(b->tls.crl, "/crl");
    assert_string_equal(b->tls.server_name, "name");
    assert_false(b->tls.verify);
    assert_int_equal(b->heartbeat_s, 60);
    assert_int_equal(b->connect_timeout_ms, 3000);
    assert_int_equal(b->backoff_base_ms, 1000);
    assert_int_equal(b->backoff_cap_ms, 60000);
    assert_string_equal(b->prefix, "rabbit");
    assert_int_equal(b->declare, DECLARE_PASSIVE);
    assert_int_equal(b->queue_type, QUEUE_CLASSIC);
    assert_string_equal(c->queues[0].name, "rabbit.high");
    assert_int_equal(c->queues[0].declare, DECLARE_PASSIVE);
    assert_int_equal(c->queues[0].type, QUEUE_CLASSIC);
    config_free(c);
}

static void every_key_of_worker_and_beat_is_stored(void **state)
{
    (void)state;
    struct config *c = config_of("worker:\n"
                                 "  concurrency: 12\n"
                                 "  priority: strict\n"
                                 "  instance: blue\n"
                                 "  plugins: [/a.so, /b.so]\n"
                                 "  held_max: 7\n"
                                 "  prefetch: 9\n"
                                 "  drain_timeout: 0s\n"
                                 "  orphan_ttl: 1m\n"
                                 "  orphans_max: 5\n"
                                 "  poison_limit: 3\n"
                                 "  unknown_task_ttl: 2m\n"
                                 "  body_max: 64K\n"
                                 "  log_level: debug\n"
                                 "  results: false\n"
                                 "beat: {name: night, timezone: Africa/Accra}\n");
    const struct worker_config *w = &c->worker;
    assert_int_equal(w->concurrency, 12);
    assert_int_equal(w->priority, PRIORITY_STRICT);
    assert_string_equal(w->instance, "blue");
    assert_int_equal(w->plugins.count, 2);
    assert_string_equal(w->plugins.items[1], "/b.so");
    assert_int_equal(w->held_max, 7);
    assert_int_equal(w->prefetch, 9);
    assert_int_equal(w->drain_timeout_ms, 0);
    assert_int_equal(w->orphan_ttl_ms, 60000);
    assert_int_equal(w->orphans_max, 5);
    assert_int_equal(w->poison_limit, 3);
    assert_int_equal(w->unknown_task_ttl_ms, 120000);
    assert_int_equal(w->body_max, 65536);
    assert_int_equal(w->log_level, LOG_LEVEL_DEBUG);
    assert_false(w->results);
    assert_string_equal(c->beat.name, "night");
    assert_string_equal(c->beat.timezone, "Africa/Accra");
    config_free(c);
}

static void queues_come_by_class_first_and_then_as_written(void **state)
{
    (void)state;
    struct config *c = config_of("queues:\n"
                                 "  notifications: {class: high, declare: active, "
                                 "type: classic, max_priority: 9, prefetch: 3}\n"
                                 "  low: {prefetch: 5}\n"
                                 "  celery:\n"
                                 "  coney.default: {class: low}\n"
                                 "  coney.extra: {class: high}\n");
    assert_int_equal(c->queue_count, 6);
    const struct queue_config *q = c->queues;
    assert_string_equal(q[0].name, "coney.high");
    assert_int_equal(q[0].class_index, 0);
    assert_int_equal(q[0].declare, DECLARE_ACTIVE);
    assert_int_equal(q[0].type, QUEUE_QUORUM);
    assert_false(q[0].foreign);
    assert_string_equal(q[1].name, "coney.default");
    assert_int_equal(q[1].class_index, 2);
    assert_string_equal(q[2].name, "coney.low");
    assert_int_equal(q[2].prefetch, 5);
    assert_string_equal(q[3].name, "notifications");
    assert_true(q[3].foreign);
    assert_int_equal(q[3].class_index, 0);
    assert_int_equal(q[3].declare, DECLARE_ACTIVE);
    assert_int_equal(q[3].type, QUEUE_CLASSIC);
    assert_int_equal(q[3].max_priority, 9);
    assert_int_equal(q[3].prefetch, 3);
    assert_string_equal(q[4].name, "celery");
    assert_int_equal(
            q[4].declare, DECLARE_PASSIVE); /* nobody else's queue is made by us */
    assert_int_equal(q[4].class_index, 1);
    assert_string_equal(q[5].name, "coney.extra");
    assert_false(q[5].foreign);
    assert_int_equal(q[5].declare, DECLARE_ACTIVE);
    config_free(c);
}

static void a_queue_is_found_by_its_name_and_by_its_class(void **state)
{
    (void)state;
    struct config *c = config_of("queues: {celery: }");
    assert_ptr_equal(config_queue(c, "high"), config_queue(c, "coney.high"));
    assert_non_null(config_queue(c, "high"));
    assert_string_equal(config_queue(c, "celery")->name, "celery");
    assert_null(config_queue(c, "coney"));
    assert_null(config_queue(c, "coney.celery"));
    assert_null(config_queue(c, ""));
    config_free(c);
}

/* --- files -------------------------------------------------------------------------- */

static void files_of_conf_d_are_merged_in_the_order_of_their_bytes(void **state)
{
    const struct home *home = *state;
    char *path = write_file(home, "coney.yaml",
            "worker: {concurrency: 2, held_max: 3, plugins: [/a, /b]}\n"
            "tasks: {x: {retry: {max: 1, base: 5s}}}\n");
    put_file(home, "conf.d/10-b.yaml", "worker: {concurrency: 4, plugins: [/c]}\n");
    put_file(home, "conf.d/9-a.yaml",
            "worker: {concurrency: 6}\ntasks: {x: {retry: {max: 7}}}\n");
    put_file(home, "conf.d/B.yaml", "beat: {name: upper}\n");
    put_file(home, "conf.d/a.yaml", "beat: {name: lower}\n");
    put_file(home, "conf.d/z.yaml.bak", "nonsense: [\n");
    put_file(home, "conf.d/.hidden.yaml", "nonsense: [\n");

    struct config *c = load(path);
    assert_int_equal(c->worker.concurrency, 6);
    assert_int_equal(c->worker.held_max, 3);
    assert_int_equal(c->worker.plugins.count, 1);
    assert_string_equal(c->worker.plugins.items[0], "/c");
    assert_string_equal(c->beat.name, "lower");
    assert_int_equal(config_policy(c, "x")->retry.max, 7);
    assert_int_equal(config_policy(c, "x")->retry.base_ms, 5000);
    assert_string_equal(config_path(c), path);
    config_free(c);
    free(path);
}

static void the_mistakes_of_all_files_are_told_in_the_order_of_reading(void **state)
{
    const struct home *home = *state;
    char *path = write_file(home, "coney.yaml", "wroker: {}\nbeat: {nam: x}\n");
    put_file(home, "conf.d/1.yaml", "\nworker: {concurrency: x}\n");
    struct config *c;
    struct mistakes m = {0};

    assert_int_equal(config_load(path, &c, &m, NULL), CONEY_ESYNTAX);
    assert_int_equal(m.count, 3);
    assert_string_equal(m.items[0].file, path);
    assert_int_equal(m.items[0].line, 1);
    assert_string_equal(m.items[1].file, path);
    assert_int_equal(m.items[1].line, 2);
    assert_non_null(strstr(m.items[2].file, "/conf.d/1.yaml"));
    assert_int_equal(m.items[2].line, 2);
    mistakes_fini(&m);
    free(path);
}

static void a_value_that_is_overridden_must_be_right_all_the_same(void **state)
{
    const struct home *home = *state;
    char *path = write_file(home, "coney.yaml", "worker: {concurrency: x}\n");
    put_file(home, "conf.d/1.yaml", "worker: {concurrency: 3}\n");
    assert_load_fails(path, CONEY_ESYNTAX, "coney.yaml:1:23: concurrency");
    free(path);
}

static void a_file_is_looked_for_in_its_places(void **state)
{
    const struct home *home = *state;
    char *named = write_file(home, "named.yaml", "beat: {name: named}\n");
    char *xdg = NULL;
    put_file(home, ".config/coney/coney.yaml", "beat: {name: home}\n");
    put_file(home, "xdg/coney/coney.yaml", "beat: {name: xdg}\n");
    put_file(home, "env.yaml", "beat: {name: env}\n");

    struct config *c = load(NULL);
    assert_string_equal(c->beat.name, "home");
    config_free(c);

    assert_true(asprintf(&xdg, "%s/xdg", home->path) > 0);
    setenv("XDG_CONFIG_HOME", xdg, 1);
    c = load(NULL);
    assert_string_equal(c->beat.name, "xdg");
    config_free(c);

    char *env = NULL;
    assert_true(asprintf(&env, "%s/env.yaml", home->path) > 0);
    setenv("CONEY_CONFIG", env, 1);
    c = load(NULL);
    assert_string_equal(c->beat.name, "env");
    config_free(c);

    c = load(named);
    assert_string_equal(c->beat.name, "named");
    config_free(c);
    free(env);
    free(xdg);
    free(named);
}

static void a_missing_file_is_said_to_be_missing(void **state)
{
    const struct home *home = *state;
    char *path = NULL;
    assert_true(asprintf(&path, "%s/none.yaml", home->path) > 0);
    assert_load_fails(path, CONEY_EIO, "none.yaml: No such file");
    assert_load_fails(home->path, CONEY_EIO, "is no regular file");
    setenv("CONEY_CONFIG", path, 1);
    assert_load_fails(NULL, CONEY_EIO, "none.yaml: No such file");
    free(path);
}

static void without_any_file_the_places_are_named(void **state)
{
    (void)state;
    if (access(CONEY_SYSCONFDIR "/coney/coney.yaml", F_OK) == 0)
        skip();
    assert_load_fails(NULL, CONEY_ENOTFOUND, "/.config/coney/coney.yaml");
}

static void a_pipe_instead_of_a_file_does_not_hang(void **state)
{
    const struct home *home = *state;
    char *path = NULL;
    assert_true(asprintf(&path, "%s/pipe.yaml", home->path) > 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_load_fails(path, CONEY_EIO, "is no regular file");
    alarm(0);
    free(path);
}

static void a_file_of_more_than_a_mebibyte_is_refused(void **state)
{
    const struct home *home = *state;
    char *path = write_file(home, "big.yaml", "# a remark\n");
    assert_int_equal(truncate(path, 1024 * 1024 + 1), 0);
    assert_load_fails(path, CONEY_ELIMIT, "larger than 1048576 bytes");
    free(path);
}

/* --- secrets ------------------------------------------------------------------------ */

/* A file with @password, and one that names it; the latter's path is the caller's. */
static char *with_password(const struct home *home, const char *password, mode_t mode)
{
    char text[512];
    char *file = write_file(home, "password", password);
    assert_int_equal(chmod(file, mode), 0);
    snprintf(text, sizeof(text), "broker: {password_file: \"%s\"}\n", file);
    free(file);
    return write_file(home, "coney.yaml", text);
}

static void the_password_is_the_line_of_its_file(void **state)
{
    char *path = with_password(*state, "s3 cr\xc3\xa9t\n", 0640);
    struct config *c = load(path);
    assert_string_equal(c->broker.password, "s3 cr\xc3\xa9t");
    config_free(c);
    free(path);
}

static void the_password_of_the_environment_goes_first(void **state)
{
    char *path = with_password(*state, "file\n", 0600);
    setenv("CONEY_BROKER_PASSWORD", "environment", 1);
    struct config *c = load(path);
    assert_string_equal(c->broker.password, "environment");
    config_free(c);
    free(path);
}

static void a_password_file_for_everybody_to_read_is_refused(void **state)
{
    char *path = with_password(*state, "file\n", 0644);
    assert_load_fails(path, CONEY_ESYNTAX, "everybody may read it: chmod o=");
    free(path);
}

static void a_password_file_without_one_password_is_refused(void **state)
{
    const struct home *home = *state;
    char *path = with_password(home, "\n", 0600);
    assert_load_fails(path, CONEY_ESYNTAX, "password: it is empty");
    free(path);
    path = with_password(home, "one\ntwo\n", 0600);
    assert_load_fails(path, CONEY_ESYNTAX, "more than one line");
    free(path);
    path = write_file(home, "coney.yaml", "broker:\n  password_file: /nonexistent/p\n");
    assert_load_fails(path, CONEY_ESYNTAX, "coney.yaml:2:18: password_file: can't read");
    free(path);
}

static void a_password_in_a_url_needs_a_file_that_is_private(void **state)
{
    const struct home *home = *state;
    char *path = write_file(
            home, "coney.yaml", "broker: {urls: [\"amqps://me:s3cret@host/\"]}\n");
    config_free(load(path));
    assert_int_equal(chmod(path, 0644), 0);
    assert_load_fails(path, CONEY_ESYNTAX, "everybody may read");
    free(path);
    path = write_file(
            home, "coney.yaml", "broker: {urls: [\"amqp://guest:guest@localhost/\"]}\n");
    assert_int_equal(chmod(path, 0644), 0);
    config_free(load(path));
    free(path);
}

/* --- out of memory ------------------------------------------------------------------ */

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char text[] =
            "worker: {plugins: [/a.so]}\n"
            "queues: {celery: {class: high}}\n"
            "tasks: {\"*\": {retry: {max: 1}}, a.b: {queue: low, command: [/bin/true], "
            "environment: {A: b}}}\n"
            "schedule: {x: {task: a.b, crontab: \"0 8 * * *\", args: [1]}}\n";
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct config *c = NULL;
        struct mistakes mistakes = {0};
        struct coney_error err = {0};
        test_fail_allocation(n);
        enum coney_rc rc = config_parse(text, "test.yaml", &c, &mistakes, &err);
        if (rc == CONEY_OK && !config_policy(c, "a.b"))
            rc = CONEY_ENOMEM;
        failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_OK);
        assert_int_equal(mistakes.count, 0);
        config_free(c);
        mistakes_fini(&mistakes);
    }
}

static void a_failed_allocation_while_files_are_read_is_survived(void **state)
{
    const struct home *home = *state;
    bool failed = true;
    put_file(home, ".config/coney/coney.yaml", "beat: {name: x}\n");
    put_file(home, ".config/coney/conf.d/1.yaml", "beat: {name: y}\n");
    for (unsigned n = 1; failed; n++) {
        struct config *c = NULL;
        struct mistakes mistakes = {0};
        struct coney_error err = {0};
        test_fail_allocation(n);
        enum coney_rc rc = config_load(NULL, &c, &mistakes, &err);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_OK);
        assert_string_equal(err.text, failed ? "out of memory" : "");
        config_free(c);
        mistakes_fini(&mistakes);
    }
}

static void a_failed_allocation_among_mistakes_leaks_nothing(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct config *c = NULL;
        struct mistakes mistakes = {0};
        test_fail_allocation(n);
        enum coney_rc rc = config_parse("a: 1\nworker: {concurrency: x}\nqueues: {q: "
                                        "{class: nix}}\n",
                "test.yaml", &c, &mistakes, NULL);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_ESYNTAX);
        assert_null(c);
        mistakes_fini(&mistakes);
    }
}

int main(void)
{
#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, make_home, remove_home)
    const struct CMUnitTest tests[] = {
            FILE_TEST(an_empty_text_gives_every_default),
            cmocka_unit_test(concurrency_is_by_default_what_processors_we_may_use),
            cmocka_unit_test(the_three_classes_of_the_design_are_the_default),
            cmocka_unit_test(a_single_runner_is_reserved_for_nobody_by_default),
            cmocka_unit_test(classes_that_are_written_replace_the_three),
            cmocka_unit_test(every_key_of_broker_is_stored),
            cmocka_unit_test(every_key_of_worker_and_beat_is_stored),
            cmocka_unit_test(queues_come_by_class_first_and_then_as_written),
            cmocka_unit_test(a_queue_is_found_by_its_name_and_by_its_class),
            FILE_TEST(files_of_conf_d_are_merged_in_the_order_of_their_bytes),
            FILE_TEST(the_mistakes_of_all_files_are_told_in_the_order_of_reading),
            FILE_TEST(a_value_that_is_overridden_must_be_right_all_the_same),
            FILE_TEST(a_file_is_looked_for_in_its_places),
            FILE_TEST(a_missing_file_is_said_to_be_missing),
            FILE_TEST(without_any_file_the_places_are_named),
            FILE_TEST(a_pipe_instead_of_a_file_does_not_hang),
            FILE_TEST(a_file_of_more_than_a_mebibyte_is_refused),
            FILE_TEST(the_password_is_the_line_of_its_file),
            FILE_TEST(the_password_of_the_environment_goes_first),
            FILE_TEST(a_password_file_for_everybody_to_read_is_refused),
            FILE_TEST(a_password_file_without_one_password_is_refused),
            FILE_TEST(a_password_in_a_url_needs_a_file_that_is_private),
            cmocka_unit_test(every_failed_allocation_is_survived),
            FILE_TEST(a_failed_allocation_while_files_are_read_is_survived),
            cmocka_unit_test(a_failed_allocation_among_mistakes_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
