/* SPDX-License-Identifier: MIT */
/* test_descendants.c - families of shells whose head is killed. */
#include "support/test.h"
#include "worker/descendants.h"
#include "worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, FAMILY_MAX = 16 };

/* Everybody in it writes its process id to the pipe, one a line. */
struct family {
    pid_t head;
    FILE *births;
    pid_t members[FAMILY_MAX];
    unsigned count;
};

static void start_family(struct family *f, const char *script, unsigned count)
{
    struct coney_error err;
    int ends[2];
    static char name[] = "sh", option[] = "-c", path[] = "PATH=/usr/bin:/bin";
    char *argv[] = {name, option, strdup(script), NULL};
    char *environment[] = {path, NULL};
    int program = open("/bin/sh", O_PATH | O_CLOEXEC);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct spawn s = {.program_fd = program,
            .argv = argv,
            .environ = environment,
            .output_fd = ends[1],
            .error_fd = ends[1]};
    assert_int_equal(descendants_adopt(&err), CONEY_OK);
    assert_int_equal(spawn_program(&s, &f->head, &err), CONEY_OK);
    close(ends[1]);
    close(program);
    free(argv[2]);

    f->births = fdopen(ends[0], "re");
    for (f->count = 0; f->count < count; f->count++)
        assert_int_equal(fscanf(f->births, "%d", &f->members[f->count]), 1);
}

static void end_head(struct family *f)
{
    descendants_kill_group(f->head);
    assert_int_equal(waitpid(f->head, NULL, 0), f->head);
}

static void sweep_until_clean(pid_t *known, size_t count)
{
    for (int i = 0; descendants_sweep(known, count) > 0; i++) {
        assert_true(i < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

static void assert_all_gone(struct family *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        assert_int_equal(kill(f->members[i], 0), -1);
        assert_int_equal(errno, ESRCH);
    }
    fclose(f->births);
}

static void a_group_is_gone_with_its_leader(void **state)
{
    (void)state;
    struct family f;
    start_family(
            &f, "echo $$; sh -c 'echo $$; sh -c \"echo \\$\\$; sleep 600; :\"; :'", 3);
    end_head(&f);
    sweep_until_clean(NULL, 0);
    assert_all_gone(&f);
}

static void those_who_left_the_group_are_found(void **state)
{
    (void)state;
    struct family f;
    start_family(&f,
            "echo $$;"
            "setsid sh -c 'echo $$; setsid sh -c \"echo \\$\\$; sleep 600; :\"; :' & "
            "sh -c 'setsid sh -c \"echo \\$\\$; sleep 600; :\" &' ; wait",
            4);
    end_head(&f);
    sweep_until_clean(NULL, 0);
    assert_all_gone(&f);
}

static void those_who_ignore_every_signal_are_killed_too(void **state)
{
    (void)state;
    struct family f;
    start_family(&f,
            "echo $$; setsid sh -c 'trap \"\" TERM HUP INT; echo $$; kill -STOP $$; "
            "sleep 600; :' & wait",
            2);
    end_head(&f);
    sweep_until_clean(NULL, 0);
    assert_all_gone(&f);
}

static void the_living_and_their_children_are_left_alone(void **state)
{
    (void)state;
    struct family dead, living;
    start_family(&dead, "echo $$; setsid sh -c 'echo $$; sleep 600; :' & wait", 2);
    start_family(&living, "echo $$; setsid sh -c 'echo $$; sleep 600; :' & wait", 2);
    pid_t known[] = {living.head, 1};

    end_head(&dead);
    sweep_until_clean(known, 2);
    assert_all_gone(&dead);
    for (unsigned i = 0; i < living.count; i++)
        assert_int_equal(kill(living.members[i], 0), 0);

    end_head(&living);
    sweep_until_clean(NULL, 0);
    assert_all_gone(&living);
}

static void children_of_others_in_this_process_are_left_alone(void **state)
{
    (void)state;
    pid_t other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(descendants_sweep(NULL, 0), 0);
    assert_int_equal(kill(other, SIGTERM), 0);
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void the_list_holds_children_alive_and_dead(void **state)
{
    (void)state;
    pid_t *pids = NULL;
    size_t count = 0;
    struct coney_error err;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(descendants_list(&pids, &count, &err), CONEY_OK);
    assert_int_equal(count, 1);
    assert_int_equal(pids[0], child);
    free(pids);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_group_is_gone_with_its_leader),
            cmocka_unit_test(those_who_left_the_group_are_found),
            cmocka_unit_test(those_who_ignore_every_signal_are_killed_too),
            cmocka_unit_test(the_living_and_their_children_are_left_alone),
            cmocka_unit_test(children_of_others_in_this_process_are_left_alone),
            cmocka_unit_test(the_list_holds_children_alive_and_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
