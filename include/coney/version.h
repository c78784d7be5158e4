/* SPDX-License-Identifier: MIT */
/* coney/version.h - which Coney this is, at compile time and at run time. */
#ifndef CONEY_VERSION_H
#define CONEY_VERSION_H

#include <coney/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONEY_VERSION_MAJOR 0
#define CONEY_VERSION_MINOR 1
#define CONEY_VERSION_PATCH 0

/* Version of the library that is running, such as "0.1.0". Static storage. Since 0.1. */
CONEY_API const char *coney_version(void);

#ifdef __cplusplus
}
#endif

#endif /* CONEY_VERSION_H */
