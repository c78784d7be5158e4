/* SPDX-License-Identifier: MIT */
/* coney/export.h - the one place that knows how a symbol becomes public. */
#ifndef CONEY_EXPORT_H
#define CONEY_EXPORT_H

#if defined(__GNUC__)
#define CONEY_API               __attribute__((visibility("default")))
#define CONEY_MUST_CHECK        __attribute__((warn_unused_result))
#define CONEY_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define CONEY_API
#define CONEY_MUST_CHECK
#define CONEY_PRINTF(fmt, args)
#endif

#endif /* CONEY_EXPORT_H */
