/* SPDX-License-Identifier: MIT */
/*
 * names.c - spelling the names of broker objects and the addresses of delayed messages.
 *
 * Text in, text out: whether an object exists, and who declares it, is topology.h's and
 * declarer.h's. A name that could be taken for a pattern of another's is refused here,
 * for this is where names become patterns.
 */
#include "queue/names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    KEY_MAX = AMQP_NAME_SIZE - 1,
    DIGITS_LEN = 2 * DELAY_LEVELS, /* each digit and its dot */
    QUEUE_NAME_MAX = KEY_MAX - DIGITS_LEN
};

static const char *suffix_of(enum object_name which)
{
    switch (which) {
    case NAME_DEAD_EXCHANGE:
        return "dlx";
    case NAME_DEAD_QUEUE:
        return "dead";
    case NAME_UNROUTED:
        return "unrouted";
    case NAME_UNROUTABLE:
        return "unroutable";
    case NAME_DELAYED:
        return "v1.delayed";
    case NAME_REVOKED:
        return "revoked";
    }
    return "";
}

void name_of(enum object_name which, const char *prefix, char name[AMQP_NAME_SIZE])
{
    snprintf(name, AMQP_NAME_SIZE, "%s.%s", prefix, suffix_of(which));
}

void name_of_level(unsigned level, const char *prefix, char name[AMQP_NAME_SIZE])
{
    assert(level < DELAY_LEVELS);
    snprintf(name, AMQP_NAME_SIZE, "%s.v1.delay.%02u", prefix, level);
}

void name_of_celery_level(unsigned level, char name[AMQP_NAME_SIZE])
{
    assert(level < DELAY_LEVELS);
    snprintf(name, AMQP_NAME_SIZE, "celery_delayed_%u", level);
}

void name_of_token(const char *beat, const char *prefix, char name[AMQP_NAME_SIZE])
{
    snprintf(name, AMQP_NAME_SIZE, "%s.beat.%s", prefix, beat);
}

static bool is_utf8_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void dead_letter_key(const char *queue, const char *task, char key[AMQP_NAME_SIZE])
{
    /* One byte more than a key may have shows whether the cut went through a character.
     */
    char text[AMQP_NAME_SIZE + 1];
    snprintf(text, sizeof(text), "%s.%s", queue, task);

    size_t len = strlen(text);
    if (len > KEY_MAX) {
        len = KEY_MAX;
        while (len > 0 && is_utf8_continuation(text[len]))
            len--;
    }
    memcpy(key, text, len);
    key[len] = '\0';
}

/* Whether a word of @name is `*` or `#`, which topic exchanges read as patterns. */
static bool has_wildcard(const char *name)
{
    const char *word = name;
    for (;;) {
        size_t len = strcspn(word, ".");
        if (len == 1 && (word[0] == '*' || word[0] == '#'))
            return true;
        if (word[len] == '\0')
            return false;
        word += len + 1;
    }
}

static bool is_addressable(const char *queue)
{
    size_t len = strlen(queue);
    return len > 0 && len <= QUEUE_NAME_MAX && !has_wildcard(queue);
}

static unsigned highest_bit(int64_t value)
{
    unsigned bit = 0;
    while (value >> (bit + 1) != 0)
        bit++;
    return bit;
}

enum coney_rc delay_route(
        const char *prefix, int64_t delay_s, const char *queue, struct delay_route *out)
{
    if (delay_s < 1 || !is_addressable(queue))
        return CONEY_EINVAL;
    if (delay_s > DELAY_MAX_S)
        delay_s = DELAY_MAX_S;

    name_of_level(highest_bit(delay_s), prefix, out->exchange);
    for (int i = 0; i < DELAY_LEVELS; i++) {
        bool is_set = (delay_s >> (DELAY_LEVELS - 1 - i) & 1) != 0;
        out->routing_key[2 * i] = is_set ? '1' : '0';
        out->routing_key[2 * i + 1] = '.';
    }
    memcpy(out->routing_key + DIGITS_LEN, queue, strlen(queue) + 1);
    return CONEY_OK;
}

enum coney_rc delay_pattern(const char *pattern, char key[AMQP_NAME_SIZE])
{
    size_t len = strlen(pattern);
    if (len == 0 || len > QUEUE_NAME_MAX)
        return CONEY_EINVAL;
    for (int i = 0; i < DELAY_LEVELS; i++)
        memcpy(key + (size_t)(2 * i), "*.", 2);
    memcpy(key + DIGITS_LEN, pattern, len + 1);
    return CONEY_OK;
}

enum coney_rc delay_binding(const char *queue, char key[AMQP_NAME_SIZE])
{
    return is_addressable(queue) ? delay_pattern(queue, key) : CONEY_EINVAL;
}

int64_t delay_seconds(int64_t now_us, int64_t eta_us)
{
    if (eta_us <= now_us)
        return 0;
    /* Unsigned: the distance between any two instants, without overflow. */
    return (int64_t)(((uint64_t)eta_us - (uint64_t)now_us) / 1000000);
}
