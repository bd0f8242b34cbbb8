# zslot.m4 - macros of configure.ac
#
# SPDX-License-Identifier: BSD-3-Clause

# ZSLOT_MODULE(VARIABLE, MODULE)
# Asks pkg-config for VARIABLE_CFLAGS and VARIABLE_LIBS, unless the user set them. That the module
# is there, in a version that will do, build-aux/needs has found out before. (Not
# PKG_CHECK_MODULES, which stops at the first missing one, and whose absence, when pkg-config
# itself is missing, shows as a syntax error in configure.)
AC_DEFUN([ZSLOT_MODULE], [
    AC_ARG_VAR([$1_CFLAGS], [compiler flags for $2, instead of pkg-config's])
    AC_ARG_VAR([$1_LIBS], [linker flags for $2, instead of pkg-config's])
    AS_IF([test -z "$$1_CFLAGS"], [$1_CFLAGS=`$PKG_CONFIG --cflags $2`])
    AS_IF([test -z "$$1_LIBS"], [$1_LIBS=`$PKG_CONFIG --libs $2`])
])

# ZSLOT_SANITIZER
# Sets, for --enable-asan and --enable-tsan:
#   SANITIZER          address, thread or none
#   SANITIZER_CFLAGS   for the compiler
#   SANITIZER_LDFLAGS  for the linker
#   SANITIZER_PRELOAD  the runtime which a program that was built without the sanitizer (nbdkit)
#                      has to load before it can load the plugin
#   TEST_LAUNCHER      what starts a program under test
AC_DEFUN([ZSLOT_SANITIZER], [
    SANITIZER=none
    SANITIZER_CFLAGS=
    SANITIZER_LDFLAGS=
    SANITIZER_PRELOAD=
    TEST_LAUNCHER=
    sanitizer=none
    AS_IF([test "$enable_asan" != no], [
        SANITIZER=address
        sanitizer="address, undefined"
        SANITIZER_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all"
    ])
    AS_IF([test "$enable_tsan" != no], [
        SANITIZER=thread
        sanitizer=thread
        SANITIZER_CFLAGS="-fsanitize=thread"
    ])
    AS_IF([test "$SANITIZER" = thread], [
        # The thread sanitizer of older compilers does not start where the kernel spreads mappings
        # wider than it knows of (vm.mmap_rnd_bits above 28). Some containers forbid this launcher.
        AS_IF([setarch "`uname -m`" -R true 2>/dev/null],
            [TEST_LAUNCHER="setarch `uname -m` -R"])
    ])
    AS_IF([test "$SANITIZER" != none], [
        SANITIZER_CFLAGS="$SANITIZER_CFLAGS -fno-omit-frame-pointer"
        # A report after dlclose() could not name a function of the plugin: keep it loaded.
        SANITIZER_LDFLAGS="-Wl,-z,nodelete"
        _ZSLOT_SANITIZER_PRELOAD
    ])
    AM_CONDITIONAL([WITH_SANITIZER], [test "$SANITIZER" != none])
    AC_SUBST([SANITIZER])
    AC_SUBST([SANITIZER_CFLAGS])
    AC_SUBST([SANITIZER_LDFLAGS])
    AC_SUBST([SANITIZER_PRELOAD])
    AC_SUBST([TEST_LAUNCHER])
])

# The runtime's file. gcc links programs with the shared one, so a linked program tells (asking
# the compiler by -print-file-name gives a linker script on some distributions). clang links
# programs with a static one and has the shared one beside it, under either of two names.
AC_DEFUN([_ZSLOT_SANITIZER_PRELOAD], [
    AC_MSG_CHECKING([for the runtime of the sanitizer])
    zslot_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $SANITIZER_CFLAGS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [
        SANITIZER_PRELOAD=`ldd conftest$EXEEXT |
            $SED -n 's,.*=> \(/[[^ ]]*lib[[at]]san[[^ ]]*\) .*,\1,p' | $SED 1q`
    ], [
        AC_MSG_RESULT([no])
        AC_MSG_ERROR([$CC cannot link with $SANITIZER_CFLAGS: its runtime is missing
    Debian: apt-get install libclang-rt-dev        (for clang; gcc brings it along)
    Fedora: dnf install libasan libubsan libtsan   (for gcc)
            dnf install compiler-rt                (for clang)])
    ])
    CFLAGS=$zslot_save_CFLAGS
    AS_CASE([$SANITIZER], [address], [zslot_runtime=asan], [zslot_runtime=tsan])
    for zslot_name in "libclang_rt.$zslot_runtime-`uname -m`.so" "libclang_rt.$zslot_runtime.so"
    do
        AS_IF([test -n "$SANITIZER_PRELOAD"], [break])
        zslot_file=`$CC -print-file-name="$zslot_name" 2>/dev/null`
        AS_IF([test -f "$zslot_file"], [SANITIZER_PRELOAD=$zslot_file])
    done
    AS_IF([test -z "$SANITIZER_PRELOAD"], [
        AC_MSG_RESULT([not found])
        AC_MSG_ERROR([$CC has no shared runtime for $SANITIZER_CFLAGS, which nbdkit has to load])
    ])
    AC_MSG_RESULT([$SANITIZER_PRELOAD])

    # Some runtimes (clang 14's for threads) are not ready when the libraries of a program that was
    # built without them start to allocate.
    AS_IF([test "$have_test_needs" = yes], [
        AC_MSG_CHECKING([whether nbdkit runs with it])
        AS_IF([LD_PRELOAD=$SANITIZER_PRELOAD $TEST_LAUNCHER $NBDKIT --version >/dev/null 2>&1],
            [AC_MSG_RESULT([yes])],
            [AC_MSG_RESULT([no])
            AC_MSG_ERROR([nbdkit does not run with the $SANITIZER sanitizer of $CC:
    try the other compiler (CC=gcc or CC=clang)])])
    ])
])
