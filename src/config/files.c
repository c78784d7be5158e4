/* SPDX-License-Identifier: MIT */
/* files.c - which files there are, and what stands in them. */
#include "config/files.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_CHUNK = 4096 };

/* The user's own file, "" when there is no home. NULL: out of memory. */
static const char *user_file(struct arena *a)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    if (base && *base == '/')
        return arena_printf(a, "%s/coney/coney.yaml", base);
    base = getenv("HOME");
    return base && *base == '/' ? arena_printf(a, "%s/.config/coney/coney.yaml", base)
                                : "";
}

enum coney_rc files_find(
        const char *path, struct arena *a, const char **out, struct coney_error *err)
{
    static const char system_file[] = CONEY_SYSCONFDIR "/coney/coney.yaml";
    const char *named = path ? path : getenv("CONEY_CONFIG");
    const char *own = user_file(a);
    const char *found = NULL;

    if (!own)
        return error_set_nomem(err);
    if (named && *named)
        found = named;
    else if (*own && access(own, F_OK) == 0)
        found = own;
    else if (access(system_file, F_OK) == 0)
        found = system_file;
    else
        return error_set(err, CONEY_ENOTFOUND,
                "no configuration: write %s%s%s, or name one with --config or "
                "$CONEY_CONFIG",
                own, *own ? " or " : "", system_file);
    *out = arena_strdup(a, found);
    return *out ? CONEY_OK : error_set_nomem(err);
}

/* --- conf.d ------------------------------------------------------------------------- */

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && dot != entry->d_name && entry->d_name[0] != '.' &&
           strcmp(dot, ".yaml") == 0;
}

/* Not alphasort(3), which asks the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static const char *directory_beside(const char *main, struct arena *a)
{
    const char *slash = strrchr(main, '/');
    if (!slash)
        return arena_strdup(a, "conf.d");
    return arena_printf(a, "%.*s/conf.d", (int)(slash - main), main);
}

static enum coney_rc name_entries(const char *directory, struct dirent *const *entries,
        size_t count, struct arena *a, struct string_list *out)
{
    out->items = arena_alloc(a, (count + 1) * sizeof(char *));
    if (!out->items)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        out->items[i] = arena_printf(a, "%s/%s", directory, entries[i]->d_name);
        if (!out->items[i])
            return CONEY_ENOMEM;
        out->count++;
    }
    return CONEY_OK;
}

enum coney_rc files_list(const char *main, struct arena *a, struct string_list *out,
        struct coney_error *err)
{
    struct dirent **entries = NULL;

    *out = (struct string_list){0};
    const char *directory = directory_beside(main, a);
    if (!directory)
        return error_set_nomem(err);
    int count = scandir(directory, &entries, is_yaml, by_bytes);
    if (count < 0 && (errno == ENOENT || errno == ENOTDIR))
        return CONEY_OK;
    if (count < 0)
        return error_set_errno(err, "can't read the directory %s", directory);

    enum coney_rc rc = name_entries(directory, entries, (size_t)count, a, out);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return rc == CONEY_OK ? rc : error_set_nomem(err);
}

/* --- reading ------------------------------------------------------------------------ */

static enum coney_rc refuse_unreadable(const char *path, struct coney_error *err)
{
    bool forbidden = errno == EACCES;
    enum coney_rc rc = error_set_errno(err, "can't read %s", path);
    if (forbidden)
        rc = error_set(err, CONEY_EIO,
                "can't read %s: permission denied; run as its owner or in its group, or "
                "change its mode",
                path);
    return rc;
}

/* @into takes one chunk more than is allowed, so that it is seen when there is more. */
static enum coney_rc read_all(
        int fd, const char *path, struct buffer *into, struct coney_error *err)
{
    for (;;) {
        uint8_t *space;
        enum coney_rc rc = buffer_reserve(into, READ_CHUNK, &space);
        if (rc == CONEY_ELIMIT)
            return error_set(
                    err, rc, "%s is larger than %zu bytes", path, into->max - READ_CHUNK);
        if (rc != CONEY_OK)
            return error_set_nomem(err);
        ssize_t n = read(fd, space, READ_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, "can't read %s", path);
        if (n == 0)
            return CONEY_OK;
        buffer_commit(into, (size_t)n);
    }
}

enum coney_rc file_read(const char *path, size_t max, struct arena *a,
        struct file_text *out, struct coney_error *err)
{
    struct buffer text;
    struct stat st;
    enum coney_rc rc = CONEY_OK;

    *out = (struct file_text){0};
    buffer_init(&text, max + READ_CHUNK);
    /* without O_NONBLOCK a pipe put in its place would hold us for ever */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return refuse_unreadable(path, err);
    if (fstat(fd, &st) != 0) {
        rc = error_set_errno(err, "can't look at %s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = error_set(err, CONEY_EIO, "%s is no regular file", path);
        goto out;
    }
    rc = read_all(fd, path, &text, err);
    if (rc != CONEY_OK)
        goto out;
    out->text = arena_copy(a, (struct bytes){buffer_data(&text), buffer_len(&text)});
    out->readers = st.st_mode & S_IROTH ? READERS_EVERYBODY : READERS_TRUSTED;
    if (!out->text.data)
        rc = error_set_nomem(err);

out:
    close(fd);
    buffer_fini(&text);
    return rc;
}
