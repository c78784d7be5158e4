/* SPDX-License-Identifier: MIT */
/* test_resolve.c - lookups that finish, that fail, and that nobody waits for any more. */
#include "net/resolve.h"
#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

enum { PATIENCE_MS = 20000 };

static struct resolve *start(const char *host)
{
    struct resolve *r;
    struct coney_error err;
    assert_int_equal(resolve_start(host, "5672", &r, &err), CONEY_OK);
    return r;
}

static void await(struct resolve *r)
{
    struct pollfd p = {.fd = resolve_fd(r), .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_true(resolve_is_done(r));
}

static void an_address_is_resolved_at_once(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        struct addrinfo *found;
        struct resolve *r = start(hosts[i]);
        assert_true(resolve_is_done(r));
        assert_int_equal(resolve_take(r, &found, NULL), CONEY_OK);
        assert_int_equal(found->ai_family, i == 0 ? AF_INET : AF_INET6);
        assert_int_equal(
                ((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_port,
                htons(5672));
        assert_null(found->ai_next);
        freeaddrinfo(found);
        resolve_free(r);
    }
}

static void a_name_is_resolved_in_the_background(void **state)
{
    (void)state;
    struct addrinfo *found;
    struct resolve *r = start("localhost");
    await(r);
    assert_int_equal(resolve_take(r, &found, NULL), CONEY_OK);
    assert_non_null(found);
    freeaddrinfo(found);
    resolve_free(r);
}

static void a_name_that_does_not_exist_is_an_error_with_the_name(void **state)
{
    (void)state;
    struct addrinfo *found;
    struct coney_error err;
    struct resolve *r = start("no-such-host.invalid");
    await(r);
    assert_int_not_equal(resolve_take(r, &found, &err), CONEY_OK);
    assert_non_null(strstr(err.text, "no-such-host.invalid: "));
    resolve_free(r);
}

static void a_lookup_may_be_abandoned_before_it_is_done(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        resolve_free(start("localhost"));
    resolve_free(NULL);
}

static int threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *e = readdir(tasks); e; e = readdir(tasks))
        count += e->d_name[0] != '.';
    closedir(tasks);
    return count;
}

/* What a thread holds to its end, the resolver's own memory with it, is no leak: the leak
 * check at exit comes after the last of them. */
static int wait_for_the_threads(void **state)
{
    (void)state;
    int waited_ms = 0;
    while (threads() > 1 && waited_ms++ < PATIENCE_MS)
        poll(NULL, 0, 1);
    return threads() == 1 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_address_is_resolved_at_once),
            cmocka_unit_test(a_name_is_resolved_in_the_background),
            cmocka_unit_test(a_name_that_does_not_exist_is_an_error_with_the_name),
            cmocka_unit_test(a_lookup_may_be_abandoned_before_it_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, wait_for_the_threads);
}
