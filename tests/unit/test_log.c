/* SPDX-License-Identifier: MIT */
/* test_log.c - lines on standard error: their form, their safety, and who waits for whom.
 */
#include "base/log.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Standard error during a test: @ends[1] is written to, @ends[0] is read. */
struct capture {
    int ends[2];
    int saved;
};

static void capture_into(struct capture *c, const char *ident, enum log_level level)
{
    unsetenv("JOURNAL_STREAM");
    c->saved = dup(STDERR_FILENO);
    assert_true(c->saved >= 0);
    assert_true(dup2(c->ends[1], STDERR_FILENO) >= 0);
    log_open(ident, level);
}

static void capture_start(struct capture *c, const char *ident, enum log_level level)
{
    assert_int_equal(pipe2(c->ends, O_CLOEXEC), 0);
    capture_into(c, ident, level);
}

/* What has been written so far, terminated. */
static void capture_read(struct capture *c, char *text, size_t size)
{
    assert_int_equal(fcntl(c->ends[0], F_SETFL, O_NONBLOCK), 0);
    ssize_t n = read(c->ends[0], text, size - 1);
    text[n > 0 ? n : 0] = '\0';
}

static void capture_stop(struct capture *c)
{
    log_close();
    assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
    close(c->saved);
    close(c->ends[0]);
    close(c->ends[1]);
}

/* What stands behind the head of the only line in @text. */
static const char *message_of(const char *text)
{
    const char *message = strstr(text, "]: ");
    assert_non_null(message);
    return message + 3;
}

static void a_line_has_time_level_process_and_message(void **state)
{
    (void)state;
    struct capture c;
    char text[1024];
    char expected[128];

    capture_start(&c, "worker", LOG_LEVEL_INFO);
    log_info("job done  task=%s id=%d", "add", 7);
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);

    assert_int_equal(strspn(text, "0123456789-T:.Z"), strlen("2026-11-20T13:03:53.003Z"));
    snprintf(expected, sizeof(expected), " info worker[%ld]: job done  task=add id=7\n",
            (long)getpid());
    assert_string_equal(text + strlen("2026-11-20T13:03:53.003Z"), expected);
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    struct capture c;
    char text[1024];

    capture_start(&c, "worker", LOG_LEVEL_WARNING);
    log_info("not this");
    log_debug("nor this");
    log_error("but this");
    log_warning("and this");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("now this");
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);

    assert_null(strstr(text, "not this"));
    assert_null(strstr(text, "nor this"));
    assert_non_null(strstr(text, " error worker["));
    assert_non_null(strstr(text, " warning worker["));
    assert_non_null(strstr(text, ": now this\n"));
}

static void a_value_cannot_begin_a_line_of_its_own(void **state)
{
    (void)state;
    struct capture c;
    char text[1024];

    capture_start(&c, "worker", LOG_LEVEL_INFO);
    log_info("task=%s",
            "a\n2026-11-20T13:03:53.003Z info worker[1]: all is well\r\t\x1b[2J\x7f");
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);

    assert_string_equal(message_of(text),
            "task=a\\n2026-11-20T13:03:53.003Z info worker[1]: all is "
            "well\\r\\t\\x1b[2J\\x7f\n");
}

static void broken_utf8_and_c1_controls_are_escaped_and_the_rest_is_kept(void **state)
{
    (void)state;
    struct capture c;
    char text[1024];

    capture_start(&c, "worker", LOG_LEVEL_INFO);
    log_info("%s", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x87 "
                   "\xff \xc3 \xc2\x9b \xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80");
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);

    assert_string_equal(message_of(text),
            "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x87 "
            "\\xff \\xc3 \\xc2\\x9b \\xed\\xa0\\x80 \\xc0\\xaf \\xf4\\x90\\x80\\x80\n");
}

static void a_long_line_is_cut_and_still_one_atomic_write(void **state)
{
    (void)state;
    struct capture c;
    static char text[4 * PIPE_BUF];
    static char huge[3 * PIPE_BUF];

    memset(huge, '\n', sizeof(huge) - 1); /* each of them takes two bytes */
    capture_start(&c, "worker", LOG_LEVEL_INFO);
    log_info("%s", huge);
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);

    size_t len = strlen(text);
    assert_in_range(len, PIPE_BUF - 4, PIPE_BUF);
    assert_string_equal(text + len - 4, "...\n");
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

static void under_the_journal_a_line_has_a_priority_instead_of_a_head(void **state)
{
    (void)state;
    struct capture c;
    struct stat st;
    char stream[64];
    char text[256];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c.ends), 0);
    capture_into(&c, "worker", LOG_LEVEL_DEBUG);
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
            (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("worker", LOG_LEVEL_DEBUG);
    log_error("one");
    log_warning("two");
    log_info("three");
    log_debug("four");
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);
    unsetenv("JOURNAL_STREAM");

    assert_string_equal(text, "<3>one\n<4>two\n<6>three\n<7>four\n");
}

static void a_journal_that_is_not_our_standard_error_is_ignored(void **state)
{
    (void)state;
    struct capture c;
    char text[256];

    assert_int_equal(pipe2(c.ends, O_CLOEXEC), 0);
    capture_into(&c, "worker", LOG_LEVEL_INFO);
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_open("worker", LOG_LEVEL_INFO);
    log_info("plain");
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);
    unsetenv("JOURNAL_STREAM");

    assert_null(strchr(text, '<'));
    assert_string_equal(message_of(text), "plain\n");
}

/* Log until a line is dropped. The alarm ends a test that blocks. */
static unsigned long log_until_dropped(void)
{
    unsigned long before = log_dropped();
    alarm(20);
    while (log_dropped() == before)
        log_info("a line that nobody reads");
    alarm(0);
    return log_dropped() - before;
}

static void a_full_pipe_drops_lines_counts_them_and_never_blocks(void **state)
{
    (void)state;
    struct capture c;
    static char text[1 << 20];

    capture_start(&c, "worker", LOG_LEVEL_INFO);
    unsigned long dropped = log_until_dropped();
    log_info("dropped as well");
    capture_read(&c, text, sizeof(text));
    assert_null(strstr(text, "dropped as well"));
    log_info("there is room again");
    capture_read(&c, text, sizeof(text));
    capture_stop(&c);

    char expected[64];
    snprintf(expected, sizeof(expected), "dropped=%lu\n", dropped + 1);
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(text, "there is room again"));
    assert_true(strstr(text, expected) < strstr(text, "there is room again"));
}

static void a_full_socket_drops_lines_and_never_blocks(void **state)
{
    (void)state;
    struct capture c;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c.ends), 0);
    capture_into(&c, "worker", LOG_LEVEL_INFO);
    assert_true(log_until_dropped() > 0);
    capture_stop(&c);
}

static void the_callers_own_descriptor_stays_blocking(void **state)
{
    (void)state;
    struct capture c;

    capture_start(&c, "worker", LOG_LEVEL_INFO);
    log_info("one");
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    capture_stop(&c);
    assert_int_equal(flags & O_NONBLOCK, 0);
}

static void logging_leaves_errno_alone(void **state)
{
    (void)state;
    struct capture c;

    capture_start(&c, "worker", LOG_LEVEL_INFO);
    log_until_dropped();
    errno = ECHILD;
    log_info("a line that is dropped");
    int after = errno;
    capture_stop(&c);
    assert_int_equal(after, ECHILD);
}

static void a_plain_value_is_not_quoted(void **state)
{
    (void)state;
    char space[32];
    const char *value = "notify.send_sms";
    assert_ptr_equal(log_quote(value, space, sizeof(space)), value);
    assert_string_equal(log_quote(NULL, space, sizeof(space)), "-");
}

static void a_value_that_could_pass_for_more_is_quoted(void **state)
{
    (void)state;
    char space[32];
    assert_string_equal(log_quote("", space, sizeof(space)), "\"\"");
    assert_string_equal(log_quote("a id=7", space, sizeof(space)), "\"a id=7\"");
    assert_string_equal(log_quote("say \"hi\"\\\n", space, sizeof(space)),
            "\"say \\\"hi\\\"\\\\\\n\"");
}

static void a_quoted_value_that_does_not_fit_is_cut_and_closed(void **state)
{
    (void)state;
    char space[12];
    assert_string_equal(
            log_quote("a b c d e f g h", space, sizeof(space)), "\"a b c ...\"");
    assert_string_equal(log_quote("a b \xc3\xa9\xc3\xa9\xc3\xa9", space, sizeof(space)),
            "\"a b \xc3\xa9...\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_line_has_time_level_process_and_message),
            cmocka_unit_test(lines_below_the_level_are_not_written),
            cmocka_unit_test(a_value_cannot_begin_a_line_of_its_own),
            cmocka_unit_test(
                    broken_utf8_and_c1_controls_are_escaped_and_the_rest_is_kept),
            cmocka_unit_test(a_long_line_is_cut_and_still_one_atomic_write),
            cmocka_unit_test(under_the_journal_a_line_has_a_priority_instead_of_a_head),
            cmocka_unit_test(a_journal_that_is_not_our_standard_error_is_ignored),
            cmocka_unit_test(a_full_pipe_drops_lines_counts_them_and_never_blocks),
            cmocka_unit_test(a_full_socket_drops_lines_and_never_blocks),
            cmocka_unit_test(the_callers_own_descriptor_stays_blocking),
            cmocka_unit_test(logging_leaves_errno_alone),
            cmocka_unit_test(a_plain_value_is_not_quoted),
            cmocka_unit_test(a_value_that_could_pass_for_more_is_quoted),
            cmocka_unit_test(a_quoted_value_that_does_not_fit_is_cut_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
