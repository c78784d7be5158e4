/* SPDX-License-Identifier: MIT */
/* test_spawn.c - shells, started by descriptor, that say what they were given. */
#include "support/test.h"
#include "worker/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

struct shell {
    pid_t pid;
    int output; /* of the shell; to be read here */
};

static void start(struct shell *sh, const char *program, const char *script,
        const int *fds, size_t fd_count)
{
    struct coney_error err;
    int ends[2];
    static char name[] = "the-shell", option[] = "-c";
    static char path[] = "PATH=/usr/bin:/bin", given[] = "GIVEN=yes";
    char *argv[] = {name, option, strdup(script), NULL};
    char *environment[] = {path, given, NULL};
    int fd = open(program, O_PATH | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);

    struct spawn s = {.program_fd = fd,
            .argv = argv,
            .environ = environment,
            .fds = fds,
            .fd_count = fd_count,
            .output_fd = ends[1],
            .error_fd = ends[1]};
    assert_int_equal(spawn_program(&s, &sh->pid, &err), CONEY_OK);
    sh->output = ends[0];
    close(ends[1]);
    close(fd);
    free(argv[2]);
}

/* All that it writes until it ends, and its wait status. */
static int finish(struct shell *sh, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;
    int status = 0;
    pid_t pid = 0;
    for (int i = 0; i < PATIENCE_MS && pid == 0; i++) {
        pid = waitpid(sh->pid, &status, WNOHANG);
        poll(NULL, 0, 1);
    }
    assert_int_equal(pid, sh->pid);
    while (len + 1 < size && (n = read(sh->output, text + len, size - len - 1)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(sh->output);
    return status;
}

static int run(const char *script, char *text, size_t size)
{
    struct shell sh;
    start(&sh, "/bin/sh", script, NULL, 0);
    return finish(&sh, text, size);
}

static void the_environment_is_the_one_given(void **state)
{
    (void)state;
    char text[4096];
    setenv("CONEY_TEST_SECRET", "hunter2", 1);
    assert_int_equal(run("exec env", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "GIVEN=yes\n"));
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "HOME="));
    unsetenv("CONEY_TEST_SECRET");
}

static void only_the_descriptors_named_are_passed(void **state)
{
    (void)state;
    char text[4096];
    struct shell sh;
    /* Forgotten by some library: open, and without close-on-exec. */
    int leak = fcntl(STDERR_FILENO, F_DUPFD, 30);
    /* Numbers on which the ones to be passed land, in the worst order. */
    int passed[2] = {open("/dev/full", O_WRONLY | O_CLOEXEC),
            open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    int swapped[2] = {passed[1], passed[0]};

    start(&sh, "/bin/sh",
            "cd /proc/self/fd; for fd in *; do [ -e $fd ] && echo $fd $(readlink $fd); "
            "done; exit 0",
            swapped, 2);
    assert_int_equal(finish(&sh, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "0 /dev/null\n"));
    assert_non_null(strstr(text, "3 /dev/zero\n"));
    assert_non_null(strstr(text, "4 /dev/full\n"));
    assert_null(strstr(text, "\n5 "));
    char number[16];
    snprintf(number, sizeof(number), "\n%d ", leak);
    assert_null(strstr(text, number));
    close(leak);
    close(passed[0]);
    close(passed[1]);
}

static void signals_are_as_a_program_expects_them(void **state)
{
    (void)state;
    char text[4096];
    sigset_t all;
    sigset_t before;
    unsigned long long blocked;
    unsigned long long ignored;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    int status = run("grep -E '^Sig(Blk|Ign)' /proc/self/status", text, sizeof(text));
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(status, 0);
    assert_int_equal(sscanf(text, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    /* 32 and 33 are glibc's own, which lets nobody set them: as inherited, they stay. */
    const unsigned long long glibcs_own = 3ULL << 31;
    assert_true(blocked == 0);
    assert_true((ignored & ~glibcs_own) == 0);
}

static void it_leads_a_session_of_its_own(void **state)
{
    (void)state;
    char text[4096];
    struct shell sh;
    int pid, group, session;
    start(&sh, "/bin/sh", "cut -d' ' -f1,5,6 /proc/$$/stat", NULL, 0);
    assert_int_equal(finish(&sh, text, sizeof(text)), 0);
    assert_int_equal(sscanf(text, "%d %d %d", &pid, &group, &session), 3);
    assert_int_equal(pid, sh.pid);
    assert_int_equal(group, sh.pid);
    assert_int_equal(session, sh.pid);
}

static void it_is_the_parent_of_the_orphans_below_it(void **state)
{
    (void)state;
    char line[32] = "";
    struct shell sh;
    /* The middle shell starts the last one and ends; the last waits for that, and says
     * whose child it is then. The first does nothing, for as long as we want. */
    start(&sh, "/bin/sh",
            "sh -c 'setsid sh -c \"while [ \\$(cut -d\\\\  -f4 /proc/\\$\\$/stat) = $$ ]; "
            "do :; done; cut -d\\\\  -f4 /proc/\\$\\$/stat\" &'; exec sleep 600",
            NULL, 0);
    assert_true(read(sh.output, line, sizeof(line) - 1) > 0);
    assert_int_equal(strtol(line, NULL, 10), sh.pid);
    kill(sh.pid, SIGKILL);
    assert_int_equal(waitpid(sh.pid, NULL, 0), sh.pid);
    close(sh.output);
}

static void it_dies_with_its_parent(void **state)
{
    (void)state;
    int ends[2];
    pid_t child = 0;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct shell sh;
        char ready;
        start(&sh, "/bin/sh", "echo; exec sleep 600", NULL, 0);
        if (read(sh.output, &ready, 1) != 1 ||
                write(ends[1], &sh.pid, sizeof(sh.pid)) != (ssize_t)sizeof(sh.pid))
            _exit(1);
        _exit(0);
    }
    assert_int_equal(read(ends[0], &child, sizeof(child)), sizeof(child));
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    for (int i = 0; kill(child, 0) == 0 && i < PATIENCE_MS; i++)
        poll(NULL, 0, 1);
    assert_int_not_equal(kill(child, 0), 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_program_that_cannot_run_says_so(void **state)
{
    (void)state;
    char text[4096];
    struct shell sh;
    char *path = test_file("neither a script nor a binary");
    start(&sh, path, "", NULL, 0);
    int status = finish(&sh, text, sizeof(text));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 127);
    assert_non_null(strstr(text, "cannot execute the runner: "));
    unlink(path);
    free(path);
}

static void a_replaced_file_does_not_reach_the_opened_program(void **state)
{
    (void)state;
    char text[64] = "";
    int ends[2];
    struct shell sh;
    struct coney_error err;
    char *dir = test_directory();
    char path[256];
    char command[512];
    snprintf(path, sizeof(path), "%s/program", dir);
    snprintf(command, sizeof(command), "cp /bin/echo %s", path);
    assert_int_equal(system(command), 0);
    int fd = open(path, O_PATH | O_CLOEXEC);
    snprintf(command, sizeof(command), "cp --remove-destination /bin/false %s", path);
    assert_int_equal(system(command), 0);

    char name[] = "echo", words[] = "still the old one";
    char *argv[] = {name, words, NULL};
    char *environment[] = {NULL};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct spawn s = {.program_fd = fd,
            .argv = argv,
            .environ = environment,
            .output_fd = ends[1],
            .error_fd = ends[1]};
    assert_int_equal(spawn_program(&s, &sh.pid, &err), CONEY_OK);
    close(ends[1]);
    close(fd);
    sh.output = ends[0];
    assert_int_equal(finish(&sh, text, sizeof(text)), 0);
    assert_string_equal(text, "still the old one\n");
    test_remove_tree(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_environment_is_the_one_given),
            cmocka_unit_test(only_the_descriptors_named_are_passed),
            cmocka_unit_test(signals_are_as_a_program_expects_them),
            cmocka_unit_test(it_leads_a_session_of_its_own),
            cmocka_unit_test(it_is_the_parent_of_the_orphans_below_it),
            cmocka_unit_test(it_dies_with_its_parent),
            cmocka_unit_test(a_program_that_cannot_run_says_so),
            cmocka_unit_test(a_replaced_file_does_not_reach_the_opened_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
