/* SPDX-License-Identifier: MIT */
/* passing.c - memfd_create(2), F_ADD_SEALS and SCM_RIGHTS. */
#include "board/passing.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

static enum coney_rc write_all(int fd, struct bytes record, struct coney_error *err)
{
    const uint8_t *data = record.data;
    for (size_t done = 0; done < record.len;) {
        ssize_t n = write(fd, data + done, record.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, "write a record of %zu bytes", record.len);
        done += (size_t)n;
    }
    return CONEY_OK;
}

static enum coney_rc make_sealed(struct bytes record, int *out, struct coney_error *err)
{
    enum coney_rc rc;
    int fd = memfd_create(PASSING_MEMFD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_set_errno(err, "memfd_create");

    rc = write_all(fd, record, err);
    if (rc == CONEY_OK && fcntl(fd, F_ADD_SEALS, ALL_SEALS) != 0)
        rc = error_set_errno(err, "seal a record");
    if (rc == CONEY_OK)
        *out = fd;
    else
        close(fd);
    return rc;
}

static enum coney_rc send_fd(int socket, uint64_t tag, int fd, struct coney_error *err)
{
    union control control;
    memset(&control, 0, sizeof(control));
    struct iovec iov = {.iov_base = &tag, .iov_len = sizeof(tag)};
    struct msghdr message = {.msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));

    ssize_t n;
    do {
        n = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return error_set(err, CONEY_ELIMIT, "no room for another large record");
    if (n < 0)
        return error_set_errno(err, "pass a large record");
    return CONEY_OK;
}

enum coney_rc passing_send(
        int socket, uint64_t tag, struct bytes record, struct coney_error *err)
{
    int fd = -1;
    enum coney_rc rc = make_sealed(record, &fd, err);
    if (rc == CONEY_OK) {
        rc = send_fd(socket, tag, fd, err);
        close(fd);
    }
    return rc;
}

static bool is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS;
}

/* The descriptor of the next message, or -1: none, not one, or cut. */
static int receive_fd(int socket, uint64_t *tag)
{
    union control control;
    struct iovec iov = {.iov_base = tag, .iov_len = sizeof(*tag)};
    /* CMSG_SPACE would leave room for a second descriptor, and leak it. */
    struct msghdr message = {.msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t n;
    do {
        n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;

    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    if (n != sizeof(*tag) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    return fd;
}

static enum coney_rc read_all(
        int fd, uint64_t len, struct buffer *out, struct coney_error *err)
{
    uint8_t *space;
    buffer_clear(out);
    enum coney_rc rc = buffer_reserve(out, (size_t)len, &space);
    if (rc == CONEY_ELIMIT)
        return error_set(err, rc, "a record of %ju bytes is too large", (uintmax_t)len);
    if (rc != CONEY_OK)
        return error_set_nomem(err);
    for (uint64_t done = 0; done < len;) {
        ssize_t n = pread(fd, space + done, (size_t)(len - done), (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(err, CONEY_EINVAL, "a large record can't be read");
        done += (uint64_t)n;
    }
    buffer_commit(out, (size_t)len);
    return CONEY_OK;
}

enum coney_rc passing_receive(int socket, uint64_t tag, uint64_t len, struct buffer *out,
        struct coney_error *err)
{
    uint64_t got = 0;
    enum coney_rc rc;
    struct stat st;
    int fd = receive_fd(socket, &got);
    if (fd < 0)
        return error_set(err, CONEY_EINVAL, "a large record is not there");

    /* Only a memfd can have seals, so nothing below can block on a pipe or a slow file.
     */
    if (got != tag)
        rc = error_set(err, CONEY_EINVAL, "a large record of another job");
    else if (!is_sealed(fd))
        rc = error_set(err, CONEY_EINVAL, "a large record is not sealed");
    else if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size != len)
        rc = error_set(err, CONEY_EINVAL, "a large record has another size than said");
    else
        rc = read_all(fd, len, out, err);
    close(fd);
    return rc;
}
