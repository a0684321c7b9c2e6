/* victim STEP...: does the steps one after the other, then exits 0. Ends by itself after a minute.

   fork        fork; the parent exits 0            fork-1      fork; the parent exits 1
   fork-stay   fork; the parent waits for ever     setsid
   vfork, spawn, system, thread, clone             make one that ends at once, and wait for it
   helper      fork a child that exits at once, and reap it
   idle-thread start a thread that waits for ever
   exec        execute this program anew with the remaining steps
   thread-exec the same in a second thread
   ignore-N    ignore signal N                     count-N     count the deliveries of signal N
   raise-N     raise signal N                      exit-N      exit with status N
   gate        wait for one byte on descriptor 0
   report      write "PID COUNT" and a newline to descriptor 1
   wait        wait for ever */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static volatile sig_atomic_t count;
static char *program;
static char **rest;

static void counter(int number) { (void)number; count++; }
static void *nothing(void *unused) { return unused; }
static void *forever(void *unused) { for (;;) pause(); return unused; }

static void again(void)
{
    rest[-1] = program;
    execv(program, rest - 1);
    _exit(103);
}

static void *again_in_thread(void *unused) { again(); return unused; }

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
}

static void follow(int status, int stay)
{
    pid_t pid = fork();
    if (pid < 0)
        _exit(104);
    if (pid > 0) {
        if (stay)
            forever(NULL);
        _exit(status);
    }
    alarm(60);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    pid_t pid;
    char byte;

    program = argv[0];
    alarm(60);
    for (int i = 1; i < argc; i++) {
        char *step = argv[i];
        rest = argv + i + 1;
        if (!strcmp(step, "fork")) follow(0, 0);
        else if (!strcmp(step, "fork-1")) follow(1, 0);
        else if (!strcmp(step, "fork-stay")) follow(0, 1);
        else if (!strcmp(step, "setsid")) setsid();
        else if (!strcmp(step, "vfork")) { pid = vfork(); if (pid == 0) _exit(0); reap(pid); }
        else if (!strcmp(step, "helper")) { pid = fork(); if (pid == 0) _exit(0); reap(pid); }
        else if (!strcmp(step, "spawn")) {
            char *words[] = { "true", NULL };
            if (posix_spawn(&pid, "/bin/true", NULL, NULL, words, environ)) return 105;
            reap(pid);
        }
        else if (!strcmp(step, "system")) { if (system("/bin/true") != 0) return 106; }
        else if (!strcmp(step, "thread")) { pthread_create(&thread, NULL, nothing, NULL); pthread_join(thread, NULL); }
        else if (!strcmp(step, "idle-thread")) pthread_create(&thread, NULL, forever, NULL);
        else if (!strcmp(step, "clone")) {
            /* No exit signal, so it is not fork-like. */
            pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
            if (pid == 0) _exit(0);
            reap(pid);
        }
        else if (!strcmp(step, "exec")) again();
        else if (!strcmp(step, "thread-exec")) { pthread_create(&thread, NULL, again_in_thread, NULL); pthread_join(thread, NULL); }
        else if (!strncmp(step, "ignore-", 7)) signal(atoi(step + 7), SIG_IGN);
        else if (!strncmp(step, "count-", 6)) signal(atoi(step + 6), counter);
        else if (!strncmp(step, "raise-", 6)) raise(atoi(step + 6));
        else if (!strncmp(step, "exit-", 5)) return atoi(step + 5);
        else if (!strcmp(step, "gate")) {
            ssize_t got;
            do got = read(0, &byte, 1); while (got < 0 && errno == EINTR);
            if (got != 1) return 107;
        }
        else if (!strcmp(step, "report")) {
            char line[64];
            int length = snprintf(line, sizeof line, "%d %d\n", (int)getpid(), (int)count);
            if (write(1, line, length) != length) return 108;
        }
        else if (!strcmp(step, "wait")) forever(NULL);
        else return 109;
    }
    return 0;
}
