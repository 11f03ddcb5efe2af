/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a fuzz target once over every file of its corpus, where libFuzzer's own main() is not linked in. A finding is a
 * crash, so there is nothing to judge here but that the corpus could be read and is not empty. */

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *folder, const char *name)
{
        char path[4096];
        uint8_t *data = NULL;
        size_t size;
        FILE *file;
        int r = 0;

        if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int) sizeof(path))
                return -ENAMETOOLONG;

        file = fopen(path, "re");
        if (!file)
                return -errno;

        if (fseek(file, 0, SEEK_END) < 0 || (size = (size_t) ftell(file)) == (size_t) -1 || fseek(file, 0, SEEK_SET) < 0)
                r = -errno;
        else {
                /* Exactly as long as the input, so that ASan sees a read past its end. */
                data = malloc(size > 0 ? size : 1);
                if (!data)
                        r = -ENOMEM;
                else if (fread(data, 1, size, file) != size)
                        r = -EIO;
                else
                        (void) LLVMFuzzerTestOneInput(data, size);
        }

        free(data);
        fclose(file);
        return r;
}

int main(int argc, char *argv[])
{
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;

        if (argc != 2) {
                fprintf(stderr, "Usage: %s CORPUS-FOLDER\n", argv[0]);
                return EXIT_FAILURE;
        }

        dir = opendir(argv[1]);
        if (!dir) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
                return EXIT_FAILURE;
        }

        while ((entry = readdir(dir))) {
                int r;

                if (entry->d_name[0] == '.')
                        continue;

                r = replay_file(argv[1], entry->d_name);
                if (r < 0) {
                        fprintf(stderr, "%s/%s: %s\n", argv[1], entry->d_name, strerror(-r));
                        closedir(dir);
                        return EXIT_FAILURE;
                }
                n++;
        }

        closedir(dir);
        printf("%u inputs replayed\n", n);
        return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
