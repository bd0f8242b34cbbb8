/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios modes_before;
static bool modes_changed;
static volatile sig_atomic_t wanted_to_end, wanted_to_stop;

bool terminal_is_there(void)
{
    return isatty(STDOUT_FILENO);
}

static struct winsize size_now(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        size.ws_col = size.ws_row = 0;
    return size;
}

unsigned terminal_columns(void)
{
    unsigned columns = size_now().ws_col;

    return columns > 0 ? columns : TERMINAL_COLUMNS;
}

unsigned terminal_rows(void)
{
    unsigned rows = size_now().ws_row;

    return rows > 0 ? rows : UINT_MAX;
}

static void on_signal(int signal)
{
    if (signal == SIGTSTP)
        wanted_to_stop = 1;
    else if (signal != SIGWINCH)
        wanted_to_end = 1;
}

bool terminal_wants_to_end(void)
{
    return wanted_to_end;
}

void terminal_enter(void)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};
    struct sigaction action = {.sa_handler =
                                   on_signal}; /* ends a wait: no SA_RESTART */

    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    if (tcgetattr(STDIN_FILENO, &modes_before) == 0) {
        struct termios modes = modes_before;

        modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        modes_changed = tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0;
    }
    /* Another screen, no cursor, no wrapping. */
    fputs("\033[?1049h\033[?25l\033[?7l", stdout);
}

void terminal_leave(void)
{
    fputs("\033[?7h\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (modes_changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
    modes_changed = false;
}

/* For the shell the terminal is as it was; what it is then is ours again. */
static void stop(void)
{
    wanted_to_stop = 0;
    terminal_leave();
    raise(SIGSTOP);
    terminal_enter();
}

bool terminal_pause(double seconds)
{
    struct pollfd keys = {.fd = modes_changed ? STDIN_FILENO : -1, .events = POLLIN};
    struct timespec now;
    char key;

    clock_gettime(CLOCK_MONOTONIC, &now);
    double end = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds;
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        double left = end - (double)now.tv_sec - (double)now.tv_nsec / 1e9;
        if (wanted_to_end)
            return false;
        if (wanted_to_stop) {
            stop();
            return true;
        }
        if (left <= 0)
            return true;
        int r = poll(&keys, 1, (int)(left * 1000) + 1);
        if (r < 0 && errno == EINTR && wanted_to_stop)
            continue;
        if (r < 0)
            return errno == EINTR && !wanted_to_end;
        if (r > 0 && read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q'))
            return false;
        if (r > 0 && keys.revents & (POLLHUP | POLLERR))
            return false;
    }
}

static bool has_blocks(void)
{
    return terminal_is_there() && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void terminal_level(FILE *out, unsigned level)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char plain[] = " .:-=+*#@";

    if (has_blocks())
        fputs(blocks[level], out);
    else
        fputc(plain[level], out);
}

void terminal_bar(FILE *out, double part, unsigned cells)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double clipped = part < 0 ? 0 : part > 1 ? 1 : part;
    bool blocks = has_blocks();
    unsigned filled = (unsigned)(clipped * cells * 8 + 0.5);
    unsigned used = filled / 8;

    if (filled == 0 && part > 0)
        filled = 1; /* a little is not nothing */
    if (!blocks)
        used = (filled + 4) / 8;
    for (unsigned i = 0; i < used; i++)
        fputs(blocks ? "█" : "#", out);
    if (blocks && filled % 8 > 0) {
        fputs(eighths[filled % 8], out);
        used++;
    }
    fprintf(out, "%*s", (int)(cells - used), "");
}

void terminal_color(FILE *out, unsigned color)
{
    const char *none = getenv("NO_COLOR");

    if (terminal_is_there() && !(none && *none))
        fprintf(out, "\033[%um", color);
}
