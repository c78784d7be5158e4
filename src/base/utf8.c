/* SPDX-License-Identifier: MIT */
/* utf8.c - well-formed sequences after table 3-7 of the Unicode standard. */
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */
enum { REPLACEMENT_LEN = 3, ELLIPSIS_LEN = 3 };

static bool is_tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* What the second byte may be depends on the first: that rules out overlong forms,
 * surrogates and what lies above U+10FFFF. */
static bool is_second(uint8_t first, uint8_t c)
{
    switch (first) {
    case 0xe0:
        return c >= 0xa0 && c <= 0xbf;
    case 0xed:
        return c >= 0x80 && c <= 0x9f;
    case 0xf0:
        return c >= 0x90 && c <= 0xbf;
    case 0xf4:
        return c >= 0x80 && c <= 0x8f;
    default:
        return is_tail(c);
    }
}

/* Bytes of the well-formed character at @s; 0: there is none. */
static size_t character(const uint8_t *s, size_t len)
{
    size_t need;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    need = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len < need || !is_second(s[0], s[1]))
        return 0;
    for (size_t i = 2; i < need; i++)
        if (!is_tail(s[i]))
            return 0;
    return need;
}

bool utf8_is_valid(struct bytes text)
{
    const uint8_t *s = text.data;
    size_t step;

    for (size_t i = 0; i < text.len; i += step) {
        step = character(s + i, text.len - i);
        if (step == 0)
            return false;
    }
    return true;
}

size_t utf8_cut(struct bytes text, size_t max)
{
    const uint8_t *s = text.data;

    if (text.len <= max)
        return text.len;
    size_t cut = max;
    for (int back = 0; back < 3 && cut > 0 && is_tail(s[cut]); back++)
        cut--;
    return is_tail(s[cut]) ? max : cut; /* not UTF-8 at all: any place will do */
}

struct bytes utf8_repair(struct arena *a, struct bytes text)
{
    const uint8_t *s = text.data;
    size_t bad = 0;
    size_t step;

    for (size_t i = 0; i<text.len; i += step> 0 ? step : 1) {
        step = character(s + i, text.len - i);
        bad += step == 0;
    }
    if (bad == 0)
        return arena_copy(a, text);

    /* No overflow: texts are bounded by message limits far below SIZE_MAX / 3. */
    size_t len = text.len + bad * (REPLACEMENT_LEN - 1);
    char *out = arena_alloc(a, len + 1);
    if (!out)
        return (struct bytes){.data = NULL};
    char *to = out;
    for (size_t i = 0; i<text.len; i += step> 0 ? step : 1) {
        step = character(s + i, text.len - i);
        size_t n = step > 0 ? step : REPLACEMENT_LEN;
        memcpy(to, step > 0 ? (const char *)(s + i) : REPLACEMENT, n);
        to += n;
    }
    return (struct bytes){.data = out, .len = len};
}

/* C0, DEL and C1 (which some terminals obey). */
static bool is_control(const uint8_t *s, size_t step)
{
    return (step == 1 && (s[0] < 0x20 || s[0] == 0x7f)) ||
           (step == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void utf8_printable(char *out, size_t size, struct bytes text)
{
    const uint8_t *s = text.data;
    size_t len = 0;
    size_t cut = 0; /* where "..." would still fit */
    size_t step;

    assert(size > ELLIPSIS_LEN);
    for (size_t i = 0; i < text.len; i += step) {
        step = character(s + i, text.len - i);
        bool plain = step > 0 && !is_control(s + i, step);
        size_t n = plain ? step : 1;
        step = step > 0 ? step : 1;
        if (len + n >= size) {
            memcpy(out + cut, "...", ELLIPSIS_LEN + 1);
            return;
        }
        memcpy(out + len, plain ? (const char *)(s + i) : "?", n);
        len += n;
        if (len + ELLIPSIS_LEN < size)
            cut = len;
    }
    out[len] = '\0';
}
