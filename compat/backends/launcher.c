/*
 * upstart-compat-launcher: becomes a job's process.
 *
 * Why a program of its own: between fork and exec a job's process has to be set up as X36 says, and no
 * Python can run there: forking the daemon costs time in proportion to its memory. This program, whose
 * cost does not depend on the daemon's size, does the set-up and then executes what the job asks for,
 * keeping its pid.
 *
 *     upstart-compat-launcher FD|/PATH     be the process of one job
 *     upstart-compat-launcher serve FD     make such processes at the request of the daemon
 *     upstart-compat-launcher unit         be the process of one job, started by systemd
 *     upstart-compat-launcher ask PATH VERB UNIT   be a process of the unit that shows a job to systemd's tools
 *
 * The first argument names the specification: an open descriptor (a memfd), or a file. Nothing else
 * comes through argv or the environment, so that a job's environment neither shows in ps nor acts on
 * this program (LD_PRELOAD, LOCPATH...). The caller gives it an empty environment.
 *
 * Serving saves executing this program for each process, which costs as much as all the rest. FD is
 * one end of a SOCK_SEQPACKET socket. A request is i32 numbers and as many descriptors (SCM_RIGHTS):
 * the numbers that these are to have in the process; the first one is the specification. The process is
 * made with CLONE_PARENT: it is the daemon's child, not the server's. It puts itself into a session of
 * its own, gives the descriptors their numbers and sends its pid, an i32. If the process cannot be made
 * or the numbers cannot be had, the errno is sent instead, negated. A process that cannot send its pid,
 * because the daemon has given up the socket, ends: nobody would know of it. The server ends when the
 * daemon's end of the socket is closed.
 *
 * As the process of a unit it is given such a socket as descriptor 0, with one request in it; after the pid it
 * sends systemd's name for this run of the unit, $INVOCATION_ID.
 *
 * Asking: PATH is the daemon's SOCK_SEQPACKET socket, the question VERB NUL UNIT NUL, VERB is start, stop or reload. An
 * answer begins with t: it is under way, more follows; r: the job runs, more follows; d: done; or f and why it failed. After
 * r this process is the unit's main one for as long as the job runs: the daemon says when that is over, and to another
 * daemon the question is "hold". Between t and r it is "await": the job is not to be started once more if it has ended.
 *
 * The specification: numbers are in the byte order of the machine.
 *
 *     u32 MAGIC, u32 size of the whole, then records: u32 tag, u32 size of the payload, payload
 *
 * No padding, any order, each tag at most once but LIMIT. Payloads:
 *
 *     strings   each string and a NUL after it, e.g. "a\0b\0"
 *     string    one string and a NUL after it
 *     i32 u64   integers; -1 as u64 means unlimited
 *
 * The tags and their payloads are an enum in launcher_process.c; process_spec.py writes them.
 *
 * The answer, through STATUS_FD if there is one: records of three i32: kind (enum failure), errno,
 * detail (a resource's index for RLIMIT). A notice (kind >= NOTICE) goes before; a failure is the last, and the process
 * then ends with status 255 (X35). End of file without a failure: the exec succeeded (X23).
 *
 * If STATUS_FD is a socket this program waits for one byte from it before it sets anything up: by then the
 * daemon has the pid on record, and it may have attached a tracer. End of file instead means that the daemon is
 * gone, and then the job must not run: nobody would know of it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(atoi(argv[2]));
    if (argc == 2 && strcmp(argv[1], "unit") == 0)
        be_unit();
    if (argc == 5 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], argv[3], argv[4]);
    if (argc == 2)
        become(argv[1]);
    _exit(255);
}
