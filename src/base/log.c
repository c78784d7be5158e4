/* SPDX-License-Identifier: MIT */
/*
 * log.c - lines to standard error.
 *
 * Setting O_NONBLOCK on descriptor 2 would set it for everybody who shares the open file,
 * a shell included. A pipe or a terminal is therefore opened once more through /proc, and
 * a socket is written with MSG_DONTWAIT; a regular file never blocks for long.
 */
#include "base/log.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = PIPE_BUF, TEXT_SIZE = LINE_SIZE - 256 };
enum output_kind { OUTPUT_FILE, OUTPUT_SOCKET };

static struct {
    char ident[32];
    enum log_level level;
    enum output_kind kind;
    int fd;
    bool journal;
    atomic_ulong dropped;
    atomic_ulong unreported;
} logger = {.ident = "coney", .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

/* A line under construction; what does not fit is cut. */
struct line {
    char *text;
    size_t len;
    size_t size;
};

static bool is_journal(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    if (!stream)
        return false;
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
    return strcmp(stream, own) == 0;
}

static int open_without_blocking(const struct stat *st)
{
    char path[32];
    if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
        return STDERR_FILENO;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 ? fd : STDERR_FILENO;
}

void log_open(const char *ident, enum log_level level)
{
    struct stat st;

    log_close();
    snprintf(logger.ident, sizeof(logger.ident), "%s", ident);
    logger.level = level;
    if (fstat(STDERR_FILENO, &st) != 0)
        return;
    logger.journal = is_journal(&st);
    logger.kind = S_ISSOCK(st.st_mode) ? OUTPUT_SOCKET : OUTPUT_FILE;
    logger.fd = open_without_blocking(&st);
}

void log_close(void)
{
    if (logger.fd != STDERR_FILENO)
        close(logger.fd);
    logger.fd = STDERR_FILENO;
    logger.kind = OUTPUT_FILE;
    logger.journal = false;
}

void log_set_level(enum log_level level)
{
    logger.level = level;
}

bool log_is_enabled(enum log_level level)
{
    return level <= logger.level;
}

unsigned long log_dropped(void)
{
    return atomic_load(&logger.dropped);
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}

/* The priorities of syslog(3), which the journal reads between angle brackets. */
static int journal_priority(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return 3;
    case LOG_LEVEL_WARNING:
        return 4;
    case LOG_LEVEL_INFO:
        return 6;
    case LOG_LEVEL_DEBUG:
        return 7;
    }
    return 6;
}

/* --- escaping ----------------------------------------------------------------------- */

/* Bytes of the well-formed UTF-8 character at @s (RFC 3629 §4), or 0. */
static size_t utf8_length(const unsigned char *s)
{
    size_t len = s[0] < 0x80                    ? 1
                 : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                 : (s[0] & 0xf0) == 0xe0        ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
            (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* C0, DEL and the two-byte C1 controls, which some terminals obey. */
static bool is_control(const unsigned char *s)
{
    return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

/* Append all of @piece or nothing; false when it does not fit before @reserve bytes. */
static bool put(struct line *l, const char *piece, size_t len, size_t reserve)
{
    if (len + reserve > l->size - l->len)
        return false;
    memcpy(l->text + l->len, piece, len);
    l->len += len;
    return true;
}

static bool put_escaped(struct line *l, unsigned char c, size_t reserve)
{
    char code[8];
    const char *known = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    int len = known ? snprintf(code, sizeof(code), "%s", known)
                    : snprintf(code, sizeof(code), "\\x%02x", (unsigned)c);
    return put(l, code, (size_t)len, reserve);
}

/*
 * Append @text, dangerous characters escaped, and with @quotes also quote and backslash.
 * What would leave fewer than @reserve bytes is cut and marked with "...".
 */
enum quotes { QUOTES_PLAIN, QUOTES_ESCAPED };
static void put_text(struct line *l, const char *text, enum quotes quotes, size_t reserve)
{
    static const char cut[] = "...";
    size_t mark = sizeof(cut) - 1;
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        size_t len = utf8_length(s);
        bool fits;
        if (len == 0 || is_control(s)) {
            len = 1;
            fits = put_escaped(l, *s, reserve + mark);
        } else if (quotes == QUOTES_ESCAPED && (*s == '"' || *s == '\\')) {
            fits = put(l, (const char[]){'\\', (char)*s}, 2, reserve + mark);
        } else {
            fits = put(l, (const char *)s, len, reserve + mark);
        }
        if (!fits) {
            (void)put(l, cut, mark, reserve);
            return;
        }
        s += len;
    }
}

const char *log_quote(const char *value, char *space, size_t size)
{
    if (!value)
        return "-";

    bool plain = *value != '\0';
    for (const unsigned char *s = (const unsigned char *)value; plain && *s;) {
        size_t len = utf8_length(s);
        plain = len > 0 && !is_control(s) && !strchr(" \"=\\", *s);
        s += len;
    }
    if (plain)
        return value;

    assert(size >= sizeof("\"...\""));
    struct line l = {.text = space, .size = size};
    (void)put(&l, "\"", 1, 0);
    put_text(&l, value, QUOTES_ESCAPED, 2);
    (void)put(&l, "\"", 1, 0);
    l.text[l.len] = '\0';
    return space;
}

/* --- writing ------------------------------------------------------------------------ */

static void put_head(struct line *l, enum log_level level)
{
    char head[128];
    if (logger.journal) {
        int len = snprintf(head, sizeof(head), "<%d>", journal_priority(level));
        (void)put(l, head, (size_t)len, 1);
        return;
    }

    int64_t now_us = clock_wall_us();
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t len = strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(head + len, sizeof(head) - len,
            ".%03dZ %s %s[%ld]: ", (int)(now_us / 1000 % 1000), log_level_name(level),
            logger.ident, (long)getpid());
    (void)put(l, head, len + (size_t)more, 1);
}

static bool write_line(const struct line *l)
{
    ssize_t n;
    do {
        n = logger.kind == OUTPUT_SOCKET
                    ? send(logger.fd, l->text, l->len, MSG_DONTWAIT | MSG_NOSIGNAL)
                    : write(logger.fd, l->text, l->len);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)l->len;
}

static bool write_text(enum log_level level, const char *text)
{
    char space[LINE_SIZE];
    struct line l = {.text = space, .size = sizeof(space)};
    put_head(&l, level);
    put_text(&l, text, QUOTES_PLAIN, 1);
    (void)put(&l, "\n", 1, 0);
    return write_line(&l);
}

/* Say that lines are missing, before the first line that is not. */
static void report_dropped(void)
{
    unsigned long lost = atomic_exchange(&logger.unreported, 0);
    if (lost == 0)
        return;

    char text[80];
    snprintf(text, sizeof(text),
            "standard error was full: lines are missing  dropped=%lu", lost);
    if (!write_text(LOG_LEVEL_WARNING, text))
        atomic_fetch_add(&logger.unreported, lost);
}

CONEY_PRINTF(2, 0)
static void log_line(enum log_level level, const char *fmt, va_list ap)
{
    char text[TEXT_SIZE];
    if (!log_is_enabled(level))
        return;

    int saved_errno = errno;
    vsnprintf(text, sizeof(text), fmt, ap);
    report_dropped();
    if (!write_text(level, text)) {
        atomic_fetch_add(&logger.dropped, 1);
        atomic_fetch_add(&logger.unreported, 1);
    }
    errno = saved_errno;
}

void log_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(LOG_LEVEL_ERROR, fmt, ap);
    va_end(ap);
}

void log_warning(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(LOG_LEVEL_WARNING, fmt, ap);
    va_end(ap);
}

void log_info(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(LOG_LEVEL_INFO, fmt, ap);
    va_end(ap);
}

void log_debug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(LOG_LEVEL_DEBUG, fmt, ap);
    va_end(ap);
}
