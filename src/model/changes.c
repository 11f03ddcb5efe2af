/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd-util.h"

/* Numbers of the machine's own byte order. */
typedef struct Page {
        _Atomic uint64_t version; /* odd while a commit is under way */
        _Atomic uint64_t events_max_age_usec;
} Page;

struct Changes {
        Page *page;
        int page_fd;
        int life_fd;  /* of the pipe, what readers get */
        int alive_fd; /* and what is open as long as this process lives */
};

struct ChangesReader {
        const Page *page;
        int life_fd;
};

static int make_page(Changes *changes)
{
        void *page;

        changes->page_fd = memfd_create("syncrun-changes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (changes->page_fd < 0 || ftruncate(changes->page_fd, sizeof(Page)) < 0)
                return -errno;
        page = mmap(NULL, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, changes->page_fd, 0);
        if (page == MAP_FAILED)
                return -errno;
        changes->page = page;
        /* The mapping that is there may be written to; no other can be made that may. */
        if (fcntl(changes->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        return 0;
}

int changes_new(Changes **ret)
{
        _cleanup_(changes_freep) Changes *changes = malloc(sizeof(*changes));
        int ends[2], r;

        if (!changes)
                return -ENOMEM;
        *changes = (Changes){ .page_fd = -EBADF, .life_fd = -EBADF, .alive_fd = -EBADF };
        r = make_page(changes);
        if (r < 0)
                return r;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        changes->life_fd = ends[0];
        changes->alive_fd = ends[1];
        *ret = TAKE_PTR(changes);
        return 0;
}

Changes *changes_free(Changes *changes)
{
        if (!changes)
                return NULL;
        if (changes->page)
                (void) munmap(changes->page, sizeof(Page));
        (void) safe_close(changes->page_fd);
        (void) safe_close(changes->life_fd);
        (void) safe_close(changes->alive_fd);
        free(changes);
        return NULL;
}

void changes_begin(Changes *changes)
{
        (void) atomic_fetch_add(&changes->page->version, 1);
}

void changes_end(Changes *changes)
{
        (void) atomic_fetch_add(&changes->page->version, 1);
}

void changes_set_events_max_age(Changes *changes, usec_t usec)
{
        atomic_store(&changes->page->events_max_age_usec, usec);
}

int changes_page_fd(const Changes *changes)
{
        return changes->page_fd;
}

int changes_life_fd(const Changes *changes)
{
        return changes->life_fd;
}

int changes_reader_new(int page_fd, int life_fd, ChangesReader **ret)
{
        ChangesReader *reader;
        struct stat st;
        void *page;
        int fd;

        if (fstat(page_fd, &st) < 0)
                return -errno;
        if (st.st_size != (off_t) sizeof(Page))
                return -EBADMSG;
        fd = fcntl(life_fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        page = mmap(NULL, sizeof(Page), PROT_READ, MAP_SHARED, page_fd, 0);
        reader = page == MAP_FAILED ? NULL : malloc(sizeof(*reader));
        if (!reader) {
                int r = page == MAP_FAILED ? -errno : -ENOMEM;

                if (page != MAP_FAILED)
                        (void) munmap(page, sizeof(Page));
                (void) safe_close(fd);
                return r;
        }
        *reader = (ChangesReader){ .page = page, .life_fd = fd };
        *ret = reader;
        return 0;
}

ChangesReader *changes_reader_free(ChangesReader *reader)
{
        if (!reader)
                return NULL;
        (void) munmap((void *) reader->page, sizeof(Page));
        (void) safe_close(reader->life_fd);
        free(reader);
        return NULL;
}

bool changes_read(const ChangesReader *reader, ChangesState *ret)
{
        struct pollfd life = { .fd = reader->life_fd };
        uint64_t version = atomic_load(&reader->page->version);

        /* What the next daemon commits, this page knows nothing of. */
        if (version % 2 != 0 || poll(&life, 1, 0) != 0)
                return false;
        *ret = (ChangesState){
                .version = version,
                .events_max_age_usec = atomic_load(&reader->page->events_max_age_usec),
        };
        return true;
}
