/* library.c - GnuTLS, loaded when somebody wants TLS
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "library.h"

#include <dlfcn.h>
#include <stdlib.h>

/* What GnuTLS has been called since 3.4 (2015); another number would be another interface. */
#define LIBRARY_FILE "libgnutls.so.30"

struct library library;

int library_load(struct why *why)
{
    static const struct {
        const char *name;
        void **pointer;
    } functions[] = {
#define LIBRARY_ROW(name) {#name, (void **)&library.name},
        LIBRARY_FUNCTIONS(LIBRARY_ROW)
#undef LIBRARY_ROW
    };
    /* It would write the secrets of each connection to a file, also while there is no memory. */
    unsetenv("SSLKEYLOGFILE");
    /* Now: what is found when it is called needs memory then. */
    void *file = dlopen(LIBRARY_FILE, RTLD_NOW | RTLD_LOCAL);

    if (file == NULL)
        return why_set(why, "TLS is done by GnuTLS, which is not there: %s", dlerror());
    for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) {
        *functions[i].pointer = dlsym(file, functions[i].name);
        if (*functions[i].pointer == NULL)
            return why_set(why, "this GnuTLS is too old for TLS: %s", dlerror());
    }
    return 0;
}
