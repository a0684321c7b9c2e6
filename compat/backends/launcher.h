/* What the parts of the launcher know of each other; launcher.c says what it is. */
#ifndef LAUNCHER_H
#define LAUNCHER_H

/* launcher_process.c: does what a specification says, up to the exec. */
void become(const char *specification) __attribute__((noreturn));

/* launcher_server.c: makes processes at requests over a socket; is the process of the one request over descriptor 0. */
void serve(int socket) __attribute__((noreturn));
void be_unit(void) __attribute__((noreturn));
/* In a process that the server made: until the server has closed its copy of the process's STATUS_FD. */
void outlast_server(void);

/* launcher_ask.c: puts the question of a unit to the daemon; returns the exit status. */
int ask(const char *path, const char *verb, const char *unit);

#endif
