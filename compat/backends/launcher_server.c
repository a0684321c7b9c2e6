/* Makes the processes of jobs at the daemon's requests. launcher.c says what a request is. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

#define MOST_PASSED 253 /* SCM_MAX_FD */

/* How many requests the server has finished with: in memory that it shares with the processes it makes. */
static _Atomic uint32_t *finished;
static uint32_t own_request;
static pid_t server;

/*
 * Until the server has closed its copy of STATUS_FD: only then does an exec show as end of file. Nearly
 * always that was long ago. Otherwise a short process could end before its exec is seen (X28).
 */
void outlast_server(void)
{
    /* It may be several requests ahead by now. Not for ever (10 s): it may have been stopped just then. */
    for (int i = 0; i < 100000 && finished && (int32_t)(atomic_load(finished) - own_request) < 0; i++) {
        /* If it died its copy is gone too. */
        if (kill(server, 0) < 0 && errno == ESRCH)
            return;
        if (i < 10)
            sched_yield();
        else
            nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
    }
}

/* Gives each descriptor the number that it is to have, and the socket another one if need be. 0, or the errno. */
static int place(int *got, const int32_t *wanted, int count, int *socket)
{
    for (int i = 0; i < count; i++) {
        if (got[i] == wanted[i])
            continue;
        if (*socket == wanted[i]) {
            int moved = dup(*socket);
            if (moved < 0)
                return errno;
            *socket = moved;
        }
        for (int j = i + 1; j < count; j++)
            if (got[j] == wanted[i] && (got[j] = dup(got[j])) < 0)
                return errno;
        if (dup2(got[i], wanted[i]) < 0)
            return errno == EBADF ? EMFILE : errno;
        close(got[i]);
    }
    return 0;
}

struct request {
    int32_t wanted[MOST_PASSED];
    int got[MOST_PASSED], count;
};

/* One request; its count is 0 if it is not whole. False: the daemon's end of the socket is closed. */
static int receive(int socket, struct request *request)
{
    union {
        char room[CMSG_SPACE(sizeof request->wanted)];
        struct cmsghdr aligned;
    } control;
    struct iovec data = { request->wanted, sizeof request->wanted };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
    };
    ssize_t size;
    do
        size = recvmsg(socket, &message, 0);
    while (size < 0 && errno == EINTR);
    request->count = 0;
    if (size <= 0)
        return 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        request->count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(request->got, CMSG_DATA(header), (size_t)request->count * sizeof(int));
    }
    /* Fewer descriptors than were sent arrive when there are too many open. */
    if ((size_t)size != (size_t)request->count * sizeof *request->wanted || message.msg_flags & MSG_CTRUNC) {
        for (int i = 0; i < request->count; i++)
            close(request->got[i]);
        request->count = 0;
    }
    return 1;
}

/* In the new process: says its pid, and what else is to be known of it, and does what was asked for. */
static void __attribute__((noreturn)) fulfil(int socket, struct request *request, const char *more)
{
    int error = request->count ? place(request->got, request->wanted, request->count, &socket) : EMFILE;
    char reply[64];
    int32_t number = error ? -error : (int32_t)getpid();
    size_t extra = strnlen(more, sizeof reply - sizeof number);
    memcpy(reply, &number, sizeof number);
    memcpy(reply + sizeof number, more, extra);
    if (send(socket, reply, sizeof number + extra, MSG_NOSIGNAL) != (ssize_t)(sizeof number + extra) || error)
        _exit(255);
    close(socket);
    char specification[16];
    snprintf(specification, sizeof specification, "%d", (int)request->wanted[0]);
    become(specification);
}

void serve(int socket)
{
    struct request request;

    server = getpid();
    finished = mmap(NULL, sizeof *finished, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (finished == MAP_FAILED)
        _exit(255);
    for (own_request = 1;; own_request++) {
        if (!receive(socket, &request))
            _exit(0);
        long pid = -EMFILE;
        if (request.count > 0) {
#if defined(__s390__)
            pid = syscall(SYS_clone, NULL, CLONE_PARENT | SIGCHLD, NULL, NULL, 0);
#else
            pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
#endif
            if (pid < 0)
                pid = -errno;
        }
        if (pid == 0) {
            /* Before anybody can ask for the group of this pid. */
            setsid();
            fulfil(socket, &request, "");
        }
        for (int i = 0; i < request.count; i++)
            close(request.got[i]);
        atomic_store(finished, own_request);
        if (pid < 0) {
            int32_t reply = (int32_t)pid;
            if (send(socket, &reply, sizeof reply, MSG_NOSIGNAL) != sizeof reply)
                _exit(0);
        }
    }
}

/* systemd has made this process the leader of a session already. */
void be_unit(void)
{
    struct request request;
    /* Not 0, which is to be a standard stream; nor where systemd has put its own 1 and 2. */
    int socket = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (socket < 0 || !receive(socket, &request))
        _exit(255);
    const char *invocation = getenv("INVOCATION_ID");
    fulfil(socket, &request, invocation ? invocation : "");
}
