/* SPDX-License-Identifier: MIT */
/* test_files.c - where files are found, how they are merged, and who may read a secret.
 */
#include "config/files.h"
#include "unit/with_config.h"

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

int main(void)
{
#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, make_home, remove_home)
    const struct CMUnitTest tests[] = {
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
            FILE_TEST(a_failed_allocation_while_files_are_read_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
