/* SPDX-License-Identifier: MIT */
/*
 * texts.h - which texts are names, paths and URLs. Pure: no file is touched.
 *
 * Each check returns CONEY_EINVAL when @text will not do, and says in @err what was found
 * and what would be right.
 */
#ifndef CONEY_CONFIG_TEXTS_H
#define CONEY_CONFIG_TEXTS_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdbool.h>

/* The longest name of a queue that the delay levels can address, in bytes. */
enum { QUEUE_NAME_MAX = 199, TASK_NAME_MAX = 255, WORD_LENGTH_MAX = 64 };

/* Anything but nothing, without control characters. */
enum coney_rc text_check(const char *text, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc text_check_word(const char *text, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc text_check_queue(
        const char *text, struct coney_error *err) CONEY_MUST_CHECK;
/* A task's name or a glob of them. */
enum coney_rc text_check_task(const char *text, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc text_check_path(const char *text, struct coney_error *err) CONEY_MUST_CHECK;
/* The name of an environment variable. */
enum coney_rc text_check_variable(
        const char *text, struct coney_error *err) CONEY_MUST_CHECK;
/* amqp[s]://[user[:password]@]host[:port][/vhost] */
enum coney_rc text_check_url(const char *text, struct coney_error *err) CONEY_MUST_CHECK;
/* rpc://, or redis[s]://[[user]:password@]host[:port][/database] */
enum coney_rc text_check_backend(
        const char *text, struct coney_error *err) CONEY_MUST_CHECK;

/* Whether a URL holds a password that is nobody's secret but its owner's: any but
 * "guest", which RabbitMQ takes from its own host only. */
bool url_has_secret(const char *url);
/* Append the URL, its password replaced. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc url_mask(struct buffer *out, const char *url) CONEY_MUST_CHECK;
/* Whether an environment variable of that name is likely to hold a secret. */
bool is_secret_variable(const char *name);

#endif /* CONEY_CONFIG_TEXTS_H */
