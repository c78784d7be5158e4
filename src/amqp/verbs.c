/* SPDX-License-Identifier: MIT */
/* verbs.c - the calls of session.h as methods: strings checked, tables made encodable. */
#include "amqp/session_impl.h"

/* The short strings of one call; NULL for fewer. */
static enum coney_rc check_names(const char *a, const char *b, const char *c)
{
    enum coney_rc rc = codec_check_short(a);
    if (rc == CONEY_OK)
        rc = codec_check_short(b);
    if (rc == CONEY_OK)
        rc = codec_check_short(c);
    return rc;
}

static enum coney_rc send_call(
        struct session *s, struct amqp_channel ch, const struct link_method *m)
{
    struct link *l = session_link(s);
    return l ? link_call(l, ch, m) : CONEY_ECLOSED;
}

/* The same, after @arguments is made into *@view, a member of what is sent. */
static enum coney_rc send_with_table(struct session *s, struct amqp_channel ch,
        const struct link_method *m, const struct table *arguments, amqp_table_t *view)
{
    struct link *l = session_link(s);
    struct link_method sized = *m;

    if (!l)
        return CONEY_ECLOSED;
    enum coney_rc rc = codec_view_table(arguments, link_call_pool(l), view, &sized.size);
    return rc != CONEY_OK ? rc : link_call(l, ch, &sized);
}

/* --- channels -------------------------------------------------------------------------
 */

enum coney_rc session_channel_open(struct session *s, struct amqp_channel *ch)
{
    struct link *l = session_link(s);
    *ch = (struct amqp_channel){.number = 0};
    return l ? link_channel_open(l, ch) : CONEY_ECLOSED;
}

enum coney_rc session_channel_close(struct session *s, struct amqp_channel ch)
{
    struct link *l = session_link(s);
    return l ? link_channel_close(l, ch) : CONEY_ECLOSED;
}

bool session_channel_is_open(const struct session *s, struct amqp_channel ch)
{
    const struct link *l = session_link(s);
    return l && link_channel_is_open(l, ch);
}

size_t session_unconfirmed(const struct session *s, struct amqp_channel ch)
{
    const struct link *l = session_link(s);
    return l ? link_unconfirmed(l, ch) : 0;
}

/* --- topology -------------------------------------------------------------------------
 */

enum coney_rc session_declare_queue(struct session *s, struct amqp_channel ch,
        const struct queue_declare *d, uint64_t cookie)
{
    amqp_queue_declare_t m = {.queue = codec_text(d->queue),
            .passive = d->passive,
            .durable = d->durable,
            .exclusive = d->exclusive,
            .auto_delete = d->auto_delete};
    const struct link_method call = {
            .number = AMQP_QUEUE_DECLARE_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(d->queue, NULL, NULL);
    return rc != CONEY_OK ? rc
                          : send_with_table(s, ch, &call, d->arguments, &m.arguments);
}

enum coney_rc session_declare_exchange(struct session *s, struct amqp_channel ch,
        const struct exchange_declare *d, uint64_t cookie)
{
    amqp_exchange_declare_t m = {.exchange = codec_text(d->exchange),
            .type = codec_text(d->type),
            .passive = d->passive,
            .durable = d->durable,
            .auto_delete = d->auto_delete,
            .internal = d->internal};
    const struct link_method call = {
            .number = AMQP_EXCHANGE_DECLARE_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(d->exchange, d->type, NULL);
    return rc != CONEY_OK ? rc
                          : send_with_table(s, ch, &call, d->arguments, &m.arguments);
}

enum coney_rc session_bind_queue(struct session *s, struct amqp_channel ch,
        const struct binding *b, uint64_t cookie)
{
    amqp_queue_bind_t m = {.queue = codec_text(b->to),
            .exchange = codec_text(b->from),
            .routing_key = codec_text(b->key)};
    const struct link_method call = {
            .number = AMQP_QUEUE_BIND_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(b->to, b->from, b->key);
    return rc != CONEY_OK ? rc : send_with_table(s, ch, &call, NULL, &m.arguments);
}

enum coney_rc session_bind_exchange(struct session *s, struct amqp_channel ch,
        const struct binding *b, uint64_t cookie)
{
    amqp_exchange_bind_t m = {.destination = codec_text(b->to),
            .source = codec_text(b->from),
            .routing_key = codec_text(b->key)};
    const struct link_method call = {
            .number = AMQP_EXCHANGE_BIND_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(b->to, b->from, b->key);
    return rc != CONEY_OK ? rc : send_with_table(s, ch, &call, NULL, &m.arguments);
}

enum coney_rc session_delete_queue(
        struct session *s, struct amqp_channel ch, const char *queue, uint64_t cookie)
{
    amqp_queue_delete_t m = {.queue = codec_text(queue)};
    const struct link_method call = {
            .number = AMQP_QUEUE_DELETE_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(queue, NULL, NULL);
    return rc != CONEY_OK ? rc : send_call(s, ch, &call);
}

enum coney_rc session_purge_queue(
        struct session *s, struct amqp_channel ch, const char *queue, uint64_t cookie)
{
    amqp_queue_purge_t m = {.queue = codec_text(queue)};
    const struct link_method call = {
            .number = AMQP_QUEUE_PURGE_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(queue, NULL, NULL);
    return rc != CONEY_OK ? rc : send_call(s, ch, &call);
}

/* --- consuming ------------------------------------------------------------------------
 */

enum coney_rc session_qos(struct session *s, struct amqp_channel ch, uint16_t prefetch)
{
    amqp_basic_qos_t m = {.prefetch_count = prefetch};
    const struct link_method call = {.number = AMQP_BASIC_QOS_METHOD, .decoded = &m};
    return send_call(s, ch, &call);
}

enum coney_rc session_consume(struct session *s, struct amqp_channel ch,
        const struct consume *c, uint64_t cookie)
{
    amqp_basic_consume_t m = {.queue = codec_text(c->queue),
            .consumer_tag = codec_text(c->consumer_tag),
            .no_ack = c->no_ack,
            .exclusive = c->exclusive};
    const struct link_method call = {
            .number = AMQP_BASIC_CONSUME_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(c->queue, c->consumer_tag, NULL);
    return rc != CONEY_OK ? rc
                          : send_with_table(s, ch, &call, c->arguments, &m.arguments);
}

enum coney_rc session_cancel(struct session *s, struct amqp_channel ch,
        const char *consumer_tag, uint64_t cookie)
{
    amqp_basic_cancel_t m = {.consumer_tag = codec_text(consumer_tag)};
    const struct link_method call = {
            .number = AMQP_BASIC_CANCEL_METHOD, .decoded = &m, .cookie = cookie};
    enum coney_rc rc = check_names(consumer_tag, NULL, NULL);
    return rc != CONEY_OK ? rc : send_call(s, ch, &call);
}

enum coney_rc session_ack(
        struct session *s, struct amqp_channel ch, uint64_t tag, bool multiple)
{
    amqp_basic_ack_t m = {.delivery_tag = tag, .multiple = multiple};
    const struct link_method call = {
            .number = AMQP_BASIC_ACK_METHOD, .decoded = &m, .answer = LINK_UNANSWERED};
    return send_call(s, ch, &call);
}

enum coney_rc session_nack(struct session *s, struct amqp_channel ch, uint64_t tag,
        bool multiple, bool requeue)
{
    amqp_basic_nack_t m = {.delivery_tag = tag, .multiple = multiple, .requeue = requeue};
    const struct link_method call = {
            .number = AMQP_BASIC_NACK_METHOD, .decoded = &m, .answer = LINK_UNANSWERED};
    return send_call(s, ch, &call);
}

/* --- publishing -----------------------------------------------------------------------
 */

enum coney_rc session_confirm_select(struct session *s, struct amqp_channel ch)
{
    struct link *l = session_link(s);
    return l ? link_confirm_select(l, ch) : CONEY_ECLOSED;
}

enum coney_rc session_publish(struct session *s, struct amqp_channel ch,
        const struct publish *p, uint64_t cookie)
{
    struct link *l = session_link(s);
    return l ? link_publish(l, ch, p, cookie) : CONEY_ECLOSED;
}
