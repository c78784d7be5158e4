/* SPDX-License-Identifier: MIT */
/* test_passing.c - large records over a socket, and what a hostile sender passes. */
#include "board/passing.h"
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void pass_fd(int socket, uint64_t tag, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {.space = {0}};
    struct iovec iov = {&tag, sizeof(tag)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_LEN(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    assert_int_equal(sendmsg(socket, &m, 0), (ssize_t)sizeof(tag));
}

static int lowest_free_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void only_a_sealed_memfd_of_the_right_size_is_received(void **state)
{
    (void)state;
    int pair[2], pipes[2];
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(pipe(pipes), 0);
    int unsealed = memfd_create("unsealed", MFD_ALLOW_SEALING);
    assert_int_equal(write(unsealed, "12345", 5), 5);
    int free_fd = lowest_free_fd();

    assert_int_equal(passing_receive(pair[0], 1, 5, &out, NULL), CONEY_EINVAL); /* none */
    pass_fd(pair[1], 1, NULL, 0);
    assert_int_equal(passing_receive(pair[0], 1, 5, &out, NULL), CONEY_EINVAL);
    pass_fd(pair[1], 1, pipes, 1); /* reading it would block for ever */
    assert_int_equal(passing_receive(pair[0], 1, 5, &out, NULL), CONEY_EINVAL);
    pass_fd(pair[1], 1, &unsealed, 1);
    assert_int_equal(passing_receive(pair[0], 1, 5, &out, NULL), CONEY_EINVAL);
    pass_fd(pair[1], 1, pipes, 2);
    assert_int_equal(passing_receive(pair[0], 1, 5, &out, NULL), CONEY_EINVAL);

    struct bytes record = {"12345", 5};
    assert_int_equal(passing_send(pair[1], 1, record, NULL), CONEY_OK);
    assert_int_equal(passing_receive(pair[0], 2, 5, &out, NULL), CONEY_EINVAL);
    assert_int_equal(passing_send(pair[1], 1, record, NULL), CONEY_OK);
    assert_int_equal(passing_receive(pair[0], 1, 6, &out, NULL), CONEY_EINVAL);
    assert_int_equal(passing_send(pair[1], 1, record, NULL), CONEY_OK);
    assert_int_equal(passing_receive(pair[0], 1, 4, &out, NULL), CONEY_EINVAL);
    assert_int_equal(passing_send(pair[1], 1, record, NULL), CONEY_OK);
    assert_int_equal(passing_receive(pair[0], 1, 5, &out, NULL), CONEY_OK);
    assert_memory_equal(buffer_data(&out), "12345", 5);
    static char large[2000];
    assert_int_equal(passing_send(pair[1], 3, (struct bytes){large, sizeof(large)}, NULL),
            CONEY_OK);
    assert_int_equal(
            passing_receive(pair[0], 3, sizeof(large), &out, NULL), CONEY_ELIMIT);

    assert_int_equal(lowest_free_fd(), free_fd); /* nothing stayed open */
    buffer_fini(&out);
    close(unsealed);
    close(pair[0]);
    close(pair[1]);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(only_a_sealed_memfd_of_the_right_size_is_received),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
