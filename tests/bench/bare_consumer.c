/* SPDX-License-Identifier: MIT */
/*
 * bare_consumer.c - what any worker in C could reach at most: take a message, acknowledge
 * it.
 *
 *     bare_consumer HOST PORT USER PASSWORD QUEUE PREFETCH BATCH
 *
 * rabbitmq-c's blocking interface, no TLS. One ack for BATCH messages, or for what there
 * is when nothing comes for a millisecond. Prints "ready" when it consumes; SIGTERM ends
 * it.
 */
#include "amqp/rabbitmq.h"

#if __has_include(<rabbitmq-c/tcp_socket.h>)
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_tcp_socket.h>
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

enum { ARGUMENTS = 8, CHANNEL = 1, FRAME_MAX = 131072, IDLE_US = 1000 };

static void check(const char *what, amqp_rpc_reply_t reply)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    fprintf(stderr, "bare_consumer: %s: %s\n", what,
            reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION
                    ? amqp_error_string2(reply.library_error)
                    : "the broker refused");
    exit(1);
}

static amqp_connection_state_t connect_to(char **arguments)
{
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *socket = c ? amqp_tcp_socket_new(c) : NULL;

    if (!socket || amqp_socket_open(socket, arguments[1], atoi(arguments[2])) != 0) {
        fprintf(stderr, "bare_consumer: no connection\n");
        exit(1);
    }
    check("login", amqp_login(c, "/", 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN,
                           arguments[3], arguments[4]));
    amqp_channel_open(c, CHANNEL);
    check("channel", amqp_get_rpc_reply(c));
    return c;
}

static void consume(amqp_connection_state_t c, const char *queue, int prefetch)
{
    amqp_basic_qos(c, CHANNEL, 0, (uint16_t)prefetch, 0);
    check("qos", amqp_get_rpc_reply(c));
    amqp_basic_consume(c, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
            amqp_empty_table);
    check("consume", amqp_get_rpc_reply(c));
    puts("ready");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != ARGUMENTS) {
        fprintf(stderr, "usage: bare_consumer HOST PORT USER PASSWORD QUEUE PREFETCH "
                        "BATCH\n");
        return 64;
    }
    const int batch = atoi(argv[7]);
    amqp_connection_state_t c = connect_to(argv);
    consume(c, argv[5], atoi(argv[6]));

    uint64_t tag = 0;
    for (int pending = 0;;) {
        const struct timeval idle = {.tv_usec = IDLE_US};
        amqp_envelope_t e;
        amqp_maybe_release_buffers(c);
        amqp_rpc_reply_t reply = amqp_consume_message(c, &e, pending ? &idle : NULL, 0);
        bool is_idle = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
                       reply.library_error == AMQP_STATUS_TIMEOUT;
        if (!is_idle) {
            check("delivery", reply);
            tag = e.delivery_tag;
            pending++;
            amqp_destroy_envelope(&e);
        }
        if (pending < batch && !is_idle)
            continue;
        if (amqp_basic_ack(c, CHANNEL, tag, 1) != AMQP_STATUS_OK) {
            fprintf(stderr, "bare_consumer: no ack\n");
            return 1;
        }
        pending = 0;
    }
}
