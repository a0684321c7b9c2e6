/* Puts the questions of the units that show jobs to systemd's tools. launcher.c says what question and answer are. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

/* To reach a daemon that died: for 10 seconds with a question, for a minute while its job runs on. */
#define ATTEMPT_NANOSECONDS 50000000
#define MOST_ATTEMPTS 200
#define MOST_HOLD_ATTEMPTS 1200

/* What the service manager is told when the job runs; nothing where it does not want to know. */
static void say_ready(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || !*path || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@')
        address.sun_path[0] = 0;
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager < 0)
        return;
    sendto(manager, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&address,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(manager);
}

/* A connection over which the question has been sent, or -1 and the errno. */
static int put(const char *path, const char *verb, const char *unit)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char question[512];
    int size = snprintf(question, sizeof question, "%s%c%s%c", verb, 0, unit, 0);
    if (strlen(path) >= sizeof address.sun_path || size >= (int)sizeof question) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int daemon = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (daemon < 0)
        return -1;
    if (connect(daemon, (struct sockaddr *)&address, sizeof address) < 0 || send(daemon, question, (size_t)size, MSG_NOSIGNAL) != size) {
        int error = errno;
        close(daemon);
        errno = error;
        return -1;
    }
    return daemon;
}

/* Returns the exit status. A daemon that died comes back, and is asked again. */
int ask(const char *path, const char *verb, const char *unit)
{
    int starts = strcmp(verb, "start") == 0, taken = 0, ready = 0;
    char answer[4096];

    /* systemd runs ExecStop= after the end of the main process, too. Then nobody asked to stop the job. */
    if (strcmp(verb, "stop") == 0 && !getenv("MAINPID"))
        return 0;
    for (int attempt = 0; attempt < (ready ? MOST_HOLD_ATTEMPTS : MOST_ATTEMPTS);) {
        int daemon = put(path, ready ? "hold" : taken ? "await" : verb, unit);
        if (daemon < 0 && errno == ENOENT) {
            /* It ended, and with it the jobs. */
            if (ready || strcmp(verb, "stop") == 0)
                return 0;
            break;
        }
        ssize_t size = 0;
        while (daemon >= 0 && ((size = recv(daemon, answer, sizeof answer, 0)) > 0 || (size < 0 && errno == EINTR))) {
            if (size < 0)
                continue;
            attempt = 0;
            if (*answer == 't') {
                taken = starts;
                continue;
            }
            if (*answer == 'f') {
                fprintf(stderr, "%.*s\n", (int)size - 1, answer + 1);
                return 1;
            }
            if (starts && !ready)
                say_ready();
            ready = starts;
            if (*answer == 'd')
                return 0;
        }
        if (daemon >= 0)
            close(daemon);
        attempt++;
        nanosleep(&(struct timespec){ .tv_nsec = ATTEMPT_NANOSECONDS }, NULL);
    }
    fprintf(stderr, "upstart-compat does not answer\n");
    return 1;
}
