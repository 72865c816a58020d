/* SPDX-License-Identifier: MIT
 *
 * replay.c - feed a fuzz target the files of one folder, each whole and cut short at every length.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_BYTES_MAX (1u << 20)
#define PREFIXES_MAX 4096u

/* In memory of exactly its size, so that a sanitizer sees the first byte read too far. */
static void
run(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert(copy);
    memcpy(copy, bytes, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static bool
replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    uint8_t *bytes = malloc(SEED_BYTES_MAX);
    assert(bytes);
    size_t len = fread(bytes, 1, SEED_BYTES_MAX, file);
    fclose(file);
    run(bytes, len);
    for (size_t cut = 0; cut < len && cut < PREFIXES_MAX; cut++)
        run(bytes, cut);
    free(bytes);
    return true;
}

int
main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    DIR *folder = opendir(argv[1]);
    if (!folder) {
        fprintf(stderr, "%s: no such folder\n", argv[1]);
        return 2;
    }
    int count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (!replay(path)) {
            fprintf(stderr, "%s: cannot be read\n", path);
            return 2;
        }
        count++;
    }
    closedir(folder);
    printf("%d seeds\n", count);
    return count > 0 ? 0 : 1;
}
