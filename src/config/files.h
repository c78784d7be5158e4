/* SPDX-License-Identifier: MIT */
/* files.h - which files there are, and what stands in them. Private to the room. */
#ifndef CONEY_CONFIG_FILES_H
#define CONEY_CONFIG_FILES_H

#include "base/arena.h"
#include "config/check.h"
#include "config/config.h"

/* Larger than any file that a person writes. */
enum { CONFIG_FILE_MAX = 1024 * 1024 };

struct file_text {
    struct bytes text; /* in the arena, terminated */
    enum readers readers;
};

/*
 * The main file: @path, else $CONEY_CONFIG, else the first that exists of
 * $XDG_CONFIG_HOME (~/.config) and CONEY_SYSCONFDIR, each followed by /coney/coney.yaml.
 * *@out is in @a. CONEY_ENOTFOUND, CONEY_ENOMEM.
 */
enum coney_rc files_find(const char *path, struct arena *a, const char **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Every conf.d/?*.yaml next to @main, by the order of their bytes; none is fine.
 * CONEY_EIO, CONEY_ENOMEM. */
enum coney_rc files_list(const char *main, struct arena *a, struct string_list *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Read all of a regular file of at most @max bytes. CONEY_EIO, CONEY_ELIMIT,
 * CONEY_ENOMEM. */
enum coney_rc file_read(const char *path, size_t max, struct arena *a,
        struct file_text *out, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_FILES_H */
