/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line per event on standard error, for programs; libraries do not log.
 *
 *     2026-11-20T13:03:53.003Z info worker[4712]: message  key=value key=value
 *
 * When standard error is the journal ($JOURNAL_STREAM) the line is "<6>message  ...",
 * because the journal adds the time and the process itself. Control characters and
 * broken UTF-8 are written as escapes, so that no value from outside can begin a line of
 * its own or talk to a terminal. A line is one write(2) of at most PIPE_BUF bytes.
 *
 * A reader that stops reading never stops the program: lines that do not fit are dropped
 * and counted, and the count is logged as soon as there is room again.
 */
#ifndef CONEY_BASE_LOG_H
#define CONEY_BASE_LOG_H

#include <coney/error.h>

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Log lines of @level and graver to standard error as @ident, which is copied. Callable
 * again. Before the first call everything up to info is logged as "coney". The program
 * ignores SIGPIPE itself.
 */
void log_open(const char *ident, enum log_level level);
/* Release what log_open() took; logging goes on, without its promise never to block. */
void log_close(void);
void log_set_level(enum log_level level);
bool log_is_enabled(enum log_level level);
/* "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/* One line. The message, then two spaces and key=value pairs; no newline at the end. */
void log_error(const char *fmt, ...) CONEY_PRINTF(1, 2);
void log_warning(const char *fmt, ...) CONEY_PRINTF(1, 2);
void log_info(const char *fmt, ...) CONEY_PRINTF(1, 2);
void log_debug(const char *fmt, ...) CONEY_PRINTF(1, 2);

/* Lines lost so far because standard error took no more. */
unsigned long log_dropped(void);

/*
 * @value as it may stand behind "key=": itself when it holds nothing that could be taken
 * for another pair, else in double quotes in @space, cut with "..." when it does not fit.
 * "-" for NULL.
 */
const char *log_quote(const char *value, char *space, size_t size);

#endif /* CONEY_BASE_LOG_H */
