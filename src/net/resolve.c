/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - a lookup owned by two: the handle and the thread.
 *
 * Each drops its share when it is through, and the second one frees. The thread writes
 * the result, then signals; the handle reads it only after it saw the signal.
 */
#include "net/resolve.h"

#include "base/error.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* getaddrinfo() and the name service modules it loads need some room, and no more. */
enum { STACK_SIZE = 512 * 1024 };

struct resolve {
    char *host; /* owned */
    char *port; /* owned */
    int fd;
    atomic_int shares;
    atomic_bool is_done;
    int status; /* of getaddrinfo() */
    struct addrinfo *addresses;
};

static void drop(struct resolve *r)
{
    if (atomic_fetch_sub(&r->shares, 1) > 1)
        return;
    if (r->addresses)
        freeaddrinfo(r->addresses);
    if (r->fd >= 0)
        close(r->fd);
    free(r->host);
    free(r->port);
    free(r);
}

static void look_up(struct resolve *r, int flags)
{
    struct addrinfo hints = {
            .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    r->status = getaddrinfo(r->host, r->port, &hints, &r->addresses);
}

static void finish(struct resolve *r)
{
    const uint64_t one = 1;

    atomic_store(&r->is_done, true);
    /* A fresh eventfd takes a write; were it lost, the deadline would be noticed instead.
     */
    ssize_t written = write(r->fd, &one, sizeof(one));
    (void)written;
}

static void *run(void *arg)
{
    struct resolve *r = arg;

    look_up(r, AI_NUMERICSERV);
    finish(r);
    drop(r);
    return NULL;
}

/* Signals are the business of the program's own threads. */
static int start_thread(struct resolve *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;

    int status = pthread_attr_init(&attr);
    if (status != 0)
        return status;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(&thread, &attr, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return status;
}

enum coney_rc resolve_start(
        const char *host, const char *port, struct resolve **out, struct coney_error *err)
{
    struct resolve *r = calloc(1, sizeof(*r));
    if (!r)
        return error_set_nomem(err);
    atomic_init(&r->shares, 1);
    atomic_init(&r->is_done, false);
    r->host = strdup(host);
    r->port = strdup(port);
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!r->host || !r->port || r->fd < 0) {
        drop(r);
        return error_set(
                err, CONEY_EIO, "%s: no descriptor or memory to look it up", host);
    }

    look_up(r, AI_NUMERICHOST | AI_NUMERICSERV);
    if (r->status == 0) {
        finish(r);
    } else {
        atomic_store(&r->shares, 2);
        if (start_thread(r) != 0) {
            atomic_store(&r->shares, 1);
            drop(r);
            return error_set(err, CONEY_EIO, "%s: no thread to look it up", host);
        }
    }
    *out = r;
    return CONEY_OK;
}

void resolve_free(struct resolve *r)
{
    if (r)
        drop(r);
}

int resolve_fd(const struct resolve *r)
{
    return r->fd;
}

bool resolve_is_done(struct resolve *r)
{
    return atomic_load(&r->is_done);
}

enum coney_rc resolve_take(
        struct resolve *r, struct addrinfo **addresses, struct coney_error *err)
{
    if (r->status != 0)
        return error_set(err,
                r->status == EAI_NONAME || r->status == EAI_NODATA ? CONEY_ENOTFOUND
                                                                   : CONEY_EIO,
                "%s: %s", r->host, gai_strerror(r->status));
    *addresses = r->addresses;
    r->addresses = NULL;
    return CONEY_OK;
}
