/* file: files that a program writes beside its stream. They appear under their names when they are complete. Until then they
 * are PATH.tmpPID, as streams are (stream/frame.c), and so they stay after kill -9. A file without a name (O_TMPFILE) would
 * not, but it could take no name that is in use: linkat() replaces nothing, so it would need such a name at the end, too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { FILES = 8, PATH_BYTES = 4096 };

static struct {
    FILE *f;
    char path[PATH_BYTES], temporary[PATH_BYTES + 32];
} files[FILES];
static int count;

static void remove_files(void)
{
    for (int i = 0; i < count; i++)
        if (files[i].f) unlink(files[i].temporary);
}

FILE *cli_file_open(const char *path)
{
    int i = 0;
    while (i < count && files[i].f) i++; /* a place that was closed, or a new one */
    if (i == FILES || strlen(path) >= PATH_BYTES) cli_die(EXIT_FAILED, "%s: too many files or too long", path);
    if (!count) atexit(remove_files);
    snprintf(files[i].path, sizeof files[i].path, "%s", path);
    snprintf(files[i].temporary, sizeof files[i].temporary, "%s.tmp%ld", path, (long)getpid());
    FILE *f = fopen(files[i].temporary, "w");
    if (!f) cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
    if (i == count) count++;
    return files[i].f = f;
}

void cli_file_put(const char *path, const void *bytes, int64_t size)
{
    FILE *f = cli_file_open(path);
    fwrite(bytes, 1, (size_t)size, f);
    cli_file_close(f);
}

void cli_file_close(FILE *f)
{
    int i = 0;
    while (i < count && files[i].f != f) i++;
    if (i == count) return;
    int failed = ferror(f) ? EIO : 0;
    if (fclose(f) && !failed) failed = errno;
    if (!failed && rename(files[i].temporary, files[i].path)) failed = errno;
    if (failed) cli_die(EXIT_FAILED, "%s: %s", files[i].path, strerror(failed));
    files[i].f = 0;
}
