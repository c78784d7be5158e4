/* SPDX-License-Identifier: MIT */
/*
 * demo.c - a plugin whose tasks do what tasks do: answer, wait, fail, crash, misbehave.
 *
 * Compiled as a user would, against the public header alone.
 */
#include <coney/task.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED(x) (void)(x)

static enum coney_outcome add(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_int_t x, y;
    UNUSED(kwargs);
    if (json_unpack(args, "[I, I!]", &x, &y) != 0)
        return coney_fail(task, "TypeError", "add wants two integers");
    return coney_succeed(task, json_integer(x + y));
}

/* Its own arguments. */
static enum coney_outcome echo(struct coney_task *task, json_t *args, json_t *kwargs)
{
    return coney_succeed(task, json_pack("[O, O]", args, kwargs));
}

/* Everything that a task can ask. */
static enum coney_outcome info(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    return coney_succeed(
            task, json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:I, s:b, s:I, s:I, s:b}", "id",
                          coney_task_id(task), "name", coney_task_name(task), "root_id",
                          coney_task_root_id(task), "parent_id",
                          coney_task_parent_id(task), "queue", coney_task_queue(task),
                          "retries", (json_int_t)coney_task_retries(task), "redelivered",
                          coney_task_is_redelivered(task), "deadline_us",
                          (json_int_t)coney_task_deadline_us(task), "remaining_ms",
                          (json_int_t)coney_task_remaining_ms(task), "has_node",
                          CONEY_API_HAS(task->api, node)));
}

/* sleep(ms): until then, or its soft limit. */
static enum coney_outcome sleep_for(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_int_t ms;
    UNUSED(kwargs);
    if (json_unpack(args, "[I]", &ms) != 0)
        return coney_fail(task, "TypeError", "sleep wants milliseconds");
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        if (coney_is_soft_limit_passed(task))
            return coney_fail(task, "SoftTimeLimitExceeded", "woken with %ld s left",
                    (long)left.tv_sec);
    return CONEY_SUCCESS;
}

/* Waits in a read that only a signal ends. */
static enum coney_outcome blocks(struct coney_task *task, json_t *args, json_t *kwargs)
{
    int pipes[2];
    char byte;
    UNUSED(args);
    UNUSED(kwargs);
    if (pipe(pipes) != 0)
        return coney_fail(task, "OSError", "pipe: %s", strerror(errno));
    while (read(pipes[0], &byte, 1) < 0 && !coney_is_soft_limit_passed(task))
        ;
    close(pipes[0]);
    close(pipes[1]);
    return coney_fail(task, "SoftTimeLimitExceeded", "nothing came");
}

/* Deaf and busy for ever. */
static enum coney_outcome spin(struct coney_task *task, json_t *args, json_t *kwargs)
{
    volatile unsigned long turns = 0;
    UNUSED(task);
    UNUSED(args);
    UNUSED(kwargs);
    while (++turns != 0)
        ;
    return CONEY_SUCCESS;
}

/* total([1, 2, 3]) */
static enum coney_outcome total(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_t *list = json_array_get(args, 0);
    json_int_t sum = 0;
    UNUSED(kwargs);
    if (!json_is_array(list))
        return coney_reject(task, "TypeError", "demo.total wants a list");
    for (size_t i = 0; i < json_array_size(list); i++)
        sum += json_integer_value(json_array_get(list, i));
    return coney_succeed(task, json_integer(sum));
}

static enum coney_outcome fail(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *type = "ValueError", *text = "asked to";
    UNUSED(kwargs);
    (void)json_unpack(args, "[s, s]", &type, &text);
    return coney_fail(task, type, "%s", text);
}

/* retry(delay_ms) */
static enum coney_outcome retry(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_int_t delay_ms = CONEY_POLICY_DELAY;
    UNUSED(kwargs);
    (void)json_unpack(args, "[I]", &delay_ms);
    return coney_retry(task, delay_ms, "SmsError", "gateway said %d", 503);
}

static enum coney_outcome reject(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    return coney_reject(task, "BadNumber", "not a telephone number");
}

static enum coney_outcome ignore(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(task);
    UNUSED(args);
    UNUSED(kwargs);
    return CONEY_IGNORE;
}

/* returns(number): that outcome without a word. */
static enum coney_outcome returns(struct coney_task *task, json_t *args, json_t *kwargs)
{
    int number = 0;
    UNUSED(task);
    UNUSED(kwargs);
    (void)json_unpack(args, "[i]", &number);
    return (enum coney_outcome)number;
}

/* Says that it fails, and then succeeds. */
static enum coney_outcome wavers(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    (void)coney_fail(task, "ValueError", "no");
    return CONEY_SUCCESS;
}

/* A result that jansson refuses to make. */
static enum coney_outcome bad_result(
        struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    return coney_succeed(task, json_string("\xff\xfe"));
}

static enum coney_outcome crash(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(task);
    UNUSED(args);
    UNUSED(kwargs);
    raise(SIGSEGV);
    return CONEY_SUCCESS;
}

/* Dies with last words. */
static enum coney_outcome aborts(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    fprintf(stderr, "demo: no ink left in task %s\n", coney_task_id(task));
    abort();
}

/* exit(status) */
static enum coney_outcome exits(struct coney_task *task, json_t *args, json_t *kwargs)
{
    int status = 0;
    UNUSED(task);
    UNUSED(kwargs);
    (void)json_unpack(args, "[i]", &status);
    exit(status);
}

/* leak(mebibytes), touched */
static enum coney_outcome leak(struct coney_task *task, json_t *args, json_t *kwargs)
{
    static void *kept;
    int mib = 1;
    UNUSED(kwargs);
    (void)json_unpack(args, "[i]", &mib);
    size_t size = (size_t)mib * 1024 * 1024;
    void **block = malloc(size);
    if (!block)
        return coney_fail(task, "MemoryError", "%d MiB", mib);
    memset(block, 1, size);
    *block = kept;
    kept = block;
    return CONEY_SUCCESS;
}

/* huge(bytes): a result of that size. */
static enum coney_outcome huge(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_int_t size = 1 << 20;
    UNUSED(kwargs);
    (void)json_unpack(args, "[I]", &size);
    char *text = malloc((size_t)size);
    if (!text)
        return coney_fail(task, "MemoryError", "no memory");
    memset(text, 'h', (size_t)size);
    json_t *result = json_stringn(text, (size_t)size);
    free(text);
    return coney_succeed(task, result);
}

/* log(lines): progress. */
static enum coney_outcome log_lines(struct coney_task *task, json_t *args, json_t *kwargs)
{
    int lines = 1;
    UNUSED(kwargs);
    (void)json_unpack(args, "[i]", &lines);
    for (int i = 1; i <= lines; i++)
        coney_log(task, CONEY_LEVEL_INFO, "line %d of %d", i, lines);
    return CONEY_SUCCESS;
}

/* print(text): on standard output, without a newline. */
static enum coney_outcome prints(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *text = "";
    UNUSED(task);
    UNUSED(kwargs);
    (void)json_unpack(args, "[s]", &text);
    printf("%s", text);
    return CONEY_SUCCESS;
}

/* A child that waits for ever; @apart: in a session of its own. */
static void fork_waiting(int apart)
{
    if (fork() != 0)
        return;
    if (apart)
        (void)setsid();
    for (;;)
        (void)pause();
}

/*
 * Leaves a child, a grandchild and a grandchild that has left the group, then waits
 * (milliseconds).
 */
static enum coney_outcome forks(struct coney_task *task, json_t *args, json_t *kwargs)
{
    if (fork() == 0) {
        fork_waiting(0);
        fork_waiting(1);
        for (;;)
            (void)pause();
    }
    return sleep_for(task, args, kwargs);
}

/* A child that ends at once and is never waited for. */
static enum coney_outcome strays(struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t info;
    (void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    return coney_succeed(task, json_integer(pid));
}

/* Which descriptors below 100 are open. */
static enum coney_outcome descriptors(
        struct coney_task *task, json_t *args, json_t *kwargs)
{
    UNUSED(args);
    UNUSED(kwargs);
    json_t *list = json_array();
    for (int fd = 0; fd < 100; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            (void)json_array_append_new(list, json_integer(fd));
    return coney_succeed(task, list);
}

/* sends(signatures, ends): send each, then end as said; the ids. */
static enum coney_outcome sends(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_t *signatures;
    const char *ends = "well";
    UNUSED(kwargs);
    if (json_unpack(args, "[o, s]", &signatures, &ends) != 0)
        return coney_fail(task, "TypeError", "sends wants signatures and an end");
    json_t *ids = json_array();
    for (size_t i = 0; i < json_array_size(signatures); i++) {
        json_t *one = json_incref(json_array_get(signatures, i));
        const char *id = json_is_string(one) ? coney_send_task(task,
                                                       json_string_value(one), NULL, NULL)
                                             : coney_send_canvas(task, json_incref(one));
        json_array_append_new(ids, id ? json_string(id) : json_null());
        json_decref(one);
    }
    if (strcmp(ends, "well") == 0 || coney_task_retries(task) > 0)
        return coney_succeed(task, ids);
    json_decref(ids);
    if (strcmp(ends, "retry") == 0)
        return coney_retry(task, 100, "NotYet", "once more");
    return coney_reject(task, "OddError", "as asked");
}

/* append(path, line): a ledger that tells after the fact who ran. */
static enum coney_outcome append(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *path, *line;
    UNUSED(kwargs);
    if (json_unpack(args, "[s, s]", &path, &line) != 0)
        return coney_fail(task, "TypeError", "append wants a path and a line");
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return coney_fail(task, "OSError", "%s: %s", path, strerror(errno));
    int n = dprintf(fd, "%s %d\n", line, (int)getpid());
    (void)close(fd);
    return n > 0 ? CONEY_SUCCESS : coney_fail(task, "OSError", "%s: write", path);
}

static int init(struct coney_runner *runner)
{
    coney_runner_log(
            runner, CONEY_LEVEL_DEBUG, "demo starts for %s", coney_runner_node(runner));
    return 0;
}

static void fini(struct coney_runner *runner)
{
    coney_runner_log(runner, CONEY_LEVEL_DEBUG, "demo ends");
}

static const struct coney_task_def tasks[] = {
        {"demo.add", add, 0, 0, 0, "x + y"},
        {"demo.echo", echo, 0, 0, 0, "its own arguments"},
        {"demo.info", info, 0, 0, 0, NULL},
        {"demo.sleep", sleep_for, 5000, 10000, 7, "wait for so many milliseconds"},
        {"demo.block", blocks, 0, 0, 0, NULL},
        {"demo.spin", spin, 0, 0, CONEY_NO_RETRIES, NULL},
        {"demo.total", total, 0, 0, 0, "the sum of a list"},
        {"demo.fail", fail, 0, 0, 0, NULL},
        {"demo.retry", retry, 0, 0, 0, NULL},
        {"demo.reject", reject, 0, 0, 0, NULL},
        {"demo.ignore", ignore, 0, 0, 0, NULL},
        {"demo.returns", returns, 0, 0, 0, NULL},
        {"demo.wavers", wavers, 0, 0, 0, NULL},
        {"demo.bad_result", bad_result, 0, 0, 0, NULL},
        {"demo.crash", crash, 0, 0, 0, NULL},
        {"demo.abort", aborts, 0, 0, 0, NULL},
        {"demo.exit", exits, 0, 0, 0, NULL},
        {"demo.leak", leak, 0, 0, 0, NULL},
        {"demo.huge", huge, 0, 0, 0, NULL},
        {"demo.log", log_lines, 0, 0, 0, NULL},
        {"demo.print", prints, 0, 0, 0, NULL},
        {"demo.fork", forks, 0, 0, 0, NULL},
        {"demo.stray", strays, 0, 0, 0, NULL},
        {"demo.descriptors", descriptors, 0, 0, 0, NULL},
        {"demo.sends", sends, 0, 0, 0, NULL},
        {"demo.append", append, 0, 0, 0, "append a line and our pid to a file"},
};
CONEY_PLUGIN("demo", tasks, init, fini);
