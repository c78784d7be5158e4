/* SPDX-License-Identifier: MIT */
/* rabbitmq.h - rabbitmq-c's codec, wherever the installed version keeps it. */
#ifndef CONEY_AMQP_RABBITMQ_H
#define CONEY_AMQP_RABBITMQ_H

#if __has_include(<rabbitmq-c/framing.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else /* before 0.12 */
#include <amqp.h>
#include <amqp_framing.h>
#endif

#endif /* CONEY_AMQP_RABBITMQ_H */
