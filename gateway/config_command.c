/* SPDX-License-Identifier: MIT
 *
 * config_command.c - values that a command prints: "command:pass show openai".
 *
 * The command is run by /bin/sh when the configuration is read (at the start, at a reload, by
 * check), with a time limit, and its standard output is the value. It is the operator's file that
 * names it: nothing of a client's gets here.
 */
#include "gateway/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_MS 30000

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The shell gets the default signals of a fresh program: ours are blocked for the threads' sake. */
static int
spawn_shell(char *command, int out, char *const *variables, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char shell[] = "/bin/sh", option[] = "-c";
    char *const arguments[] = {shell, option, command, NULL};
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    static char *const nothing[] = {NULL};
    int error =
        posix_spawn(pid, shell, &actions, &attributes, arguments, variables ? variables : nothing);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Read to the end of the output; false when the time is over or there is too much. */
static bool
read_output(int fd, char *bytes, size_t *len)
{
    int64_t until_ms = now_ms() + COMMAND_MS;
    for (*len = 0; *len < CONFIG_SECRET_BYTES_MAX;) {
        int64_t left_ms = until_ms - now_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int n = poll(&ready, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        ssize_t got = read(fd, bytes + *len, CONFIG_SECRET_BYTES_MAX - *len);
        if (got <= 0)
            return got == 0;
        *len += (size_t)got;
    }
    return false;
}

bool
config_run_command(struct config_loader *loader, const struct config_origin *origin,
                   struct slice text, struct slice *out)
{
    char *command = arena_take(&loader->scratch, text.len + 1); /* zeroed: it ends with a NUL */
    char *bytes = arena_take(&loader->scratch, CONFIG_SECRET_BYTES_MAX);
    int ends[2] = {-1, -1}, status = 0;
    pid_t pid = -1;
    if (command == NULL || bytes == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        config_problem_of(loader, false, origin, "cannot run a command: %s",
                          strerror(errno ? errno : ENOMEM));
        return false;
    }
    memcpy(command, text.ptr, text.len);
    int error = spawn_shell(command, ends[1], loader->variables, &pid);
    close(ends[1]);
    size_t len = 0;
    bool whole = error == 0 && read_output(ends[0], bytes, &len);
    close(ends[0]);
    if (error != 0) {
        config_problem_of(loader, false, origin, "cannot run /bin/sh: %s", strerror(error));
        return false;
    }
    if (!whole)
        kill(-pid, SIGKILL); /* the shell and what it started */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!whole || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        if (whole && WIFEXITED(status))
            config_problem_of(loader, false, origin, "the command failed with status %d",
                              WEXITSTATUS(status));
        else
            config_problem_of(loader, false, origin,
                              "the command took longer than %d s, printed too much or was killed",
                              COMMAND_MS / 1000);
        return false;
    }
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    if (len == 0) {
        config_problem_of(loader, false, origin, "the command printed nothing");
        return false;
    }
    *out = slice_of(bytes, len);
    return true;
}
