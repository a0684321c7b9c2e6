/* The set-up of a job's process (X36), from its specification to the exec. launcher.c says what a specification is. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher.h"

#define MAGIC 0x31434c55 /* "ULC1" */
#define SCRIPT_FD_NUMBER 9
#define LAST_CLASSIC_SIGNAL 31
#define MOST_ROOM (64 << 20)

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Each with its payload. A step without a record is not done. */
enum tag {
    STATUS_FD = 1,      /* i32: where to answer; closed by the exec */
    ARGV,               /* strings: the command; argv[0] is looked up as execvp does (X10) */
    ENVIRONMENT,        /* strings: the complete environment, whose PATH that look-up uses */
    FALLBACK_ARGV,      /* strings: instead of ARGV where /proc/self/fd/9 does not exist (X13) */
    KEEP_FDS,           /* i32...: descriptors that stay open under their numbers (X21) */
    CONSOLE,            /* i32: enum console (X57) */
    PTY_FD,             /* i32: the master, for CONSOLE_LOG */
    SCRIPT_FD,          /* i32: becomes descriptor 9 (X6) */
    APPARMOR,           /* string: the profile (X138) */
    APPARMOR_INVALID,   /* empty: its name could not be expanded; fail at that step (X41) */
    LIMIT,              /* i32 index into `resources`, u64 soft, u64 hard */
    UMASK,              /* i32 */
    NICE,               /* i32 */
    OOM_SCORE,          /* i32: -1000 to 1000 (X49) */
    OOM_RESET,          /* empty: write 0, and never mind if that is refused (X49) */
    CHROOT,             /* string */
    CHDIR,              /* string */
    USER,               /* string: a name, looked up after the chroot (X53) */
    GROUP,              /* string: likewise */
    DEBUG_STOP,         /* empty: close STATUS_FD and stop before the exec (X149) */
    PASSAGE_FD,         /* i32: a file to append PASSAGE to when this program has leave to go on (passage.py) */
    PASSAGE,            /* string */
    TAGS
};

enum console { CONSOLE_NONE, CONSOLE_LOG, CONSOLE_OUTPUT, CONSOLE_OWNER };

/* The order of enum failure and of `resources` is known to spawn_errors.py. */
enum failure {
    FAIL_SPECIFICATION = 1, FAIL_DUP, FAIL_CONSOLE, FAIL_RLIMIT, FAIL_PRIORITY, FAIL_OOM_ADJ, FAIL_CHROOT, FAIL_CHDIR,
    FAIL_EXEC, FAIL_GETPWNAM, FAIL_GETGRNAM, FAIL_GETPWUID, FAIL_BAD_SETUID, FAIL_BAD_SETGID,
    FAIL_SETUID, FAIL_SETGID, FAIL_CHOWN, FAIL_UNLOCKPT, FAIL_PTSNAME, FAIL_OPENPT_SLAVE, FAIL_ALLOC,
    FAIL_INITGROUPS, FAIL_SECURITY,
    NOTICE = 100,       /* the console could not be opened: errno (X57) */
};

static const int resources[] = {
    RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE,
    RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO,
};
#define RESOURCES ((int)(sizeof resources / sizeof *resources))

struct record {
    const char *data;   /* NULL: there is none */
    uint32_t size;
};

static struct record given[TAGS];
static struct { int wanted; struct rlimit value; } limits[RESOURCES];
static int status_fd = -1;

static void answer(int kind, int error, int detail)
{
    int32_t record[3] = { kind, error, detail };
    ssize_t written = status_fd < 0 ? 0 : write(status_fd, record, sizeof record);
    (void)written;
}

static void __attribute__((noreturn)) fail(enum failure kind, int error, int detail)
{
    answer(kind, error, detail);
    _exit(255);
}

/* -- reading the specification ---------------------------------------------------------------------- */

static int32_t number(enum tag tag, int32_t otherwise)
{
    int32_t value = otherwise;
    if (given[tag].data && given[tag].size == sizeof value)
        memcpy(&value, given[tag].data, sizeof value);
    return value;
}

static const char *string(enum tag tag)
{
    const struct record *record = &given[tag];
    return record->data && record->size && !record->data[record->size - 1] ? record->data : NULL;
}

/* The strings of a record as a vector ending in NULL, with `before` free places in front of it. */
static char **strings(enum tag tag, size_t before)
{
    const struct record *record = &given[tag];
    size_t count = 0;
    if (record->size && record->data[record->size - 1])
        fail(FAIL_SPECIFICATION, EBADMSG, tag);
    for (uint32_t i = 0; i < record->size; i++)
        count += !record->data[i];
    char **vector = malloc((before + count + 1) * sizeof *vector);
    if (!vector)
        fail(FAIL_ALLOC, errno, 0);
    vector += before;
    const char *next = record->data;
    for (size_t i = 0; i < count; i++) {
        vector[i] = (char *)next;
        next += strlen(next) + 1;
    }
    vector[count] = NULL;
    return vector;
}

static int read_limit(const char *data, uint32_t size)
{
    int32_t index;
    uint64_t values[2];
    if (size != sizeof index + sizeof values)
        return 0;
    memcpy(&index, data, sizeof index);
    memcpy(values, data + sizeof index, sizeof values);
    if (index < 0 || index >= RESOURCES)
        return 0;
    limits[index].wanted = 1;
    limits[index].value.rlim_cur = values[0] == UINT64_MAX ? RLIM_INFINITY : (rlim_t)values[0];
    limits[index].value.rlim_max = values[1] == UINT64_MAX ? RLIM_INFINITY : (rlim_t)values[1];
    return 1;
}

static void read_specification(const char *name)
{
    int fd = name[0] == '/' ? open(name, O_RDONLY | O_CLOEXEC) : atoi(name);
    struct stat found;
    if (fd < 0 || fstat(fd, &found) < 0 || found.st_size < 8 || found.st_size > INT32_MAX)
        _exit(255);
    uint32_t size = (uint32_t)found.st_size;
    /* Never unmapped: argv and environment point into it. */
    const char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        _exit(255);
    close(fd);

    uint32_t head[2];
    memcpy(head, data, sizeof head);
    int good = head[0] == MAGIC && head[1] == size;
    for (uint32_t at = sizeof head; good && at < size;) {
        good = size - at >= sizeof head;
        if (!good)
            break;
        memcpy(head, data + at, sizeof head);
        at += sizeof head;
        good = head[0] > 0 && head[0] < TAGS && head[1] <= size - at;
        if (!good)
            break;
        if (head[0] == LIMIT)
            good = read_limit(data + at, head[1]);
        else
            given[head[0]] = (struct record){ data + at, head[1] };
        at += head[1];
    }
    status_fd = number(STATUS_FD, -1);
    if (!good || !given[ARGV].size)
        fail(FAIL_SPECIFICATION, EBADMSG, 0);
}

/* -- descriptors ---------------------------------------------------------------------------------------- */

/* Out of the way of 0-2 and 9, and closed by the exec. */
static int move_up(int fd)
{
    if (fd < 0)
        return -1;
    if (fd <= SCRIPT_FD_NUMBER)
        fd = fcntl(fd, F_DUPFD_CLOEXEC, SCRIPT_FD_NUMBER + 1);
    else if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        fd = -1;
    if (fd < 0)
        fail(FAIL_DUP, errno, 0);
    return fd;
}

static void close_range_of(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    /* Kernels before 5.9. */
    long most = sysconf(_SC_OPEN_MAX);
    if (most < 0 || most > 65536)
        most = 65536;
    for (unsigned fd = first; fd <= last && fd < (unsigned)most; fd++)
        close((int)fd);
}

/* Closes all but 0-2 and those named: whatever the daemon itself inherited ends here (X65). */
static void close_others(const int *own, size_t owned)
{
    size_t kept = given[KEEP_FDS].size / sizeof(int32_t), count = 0;
    int *keep = malloc((kept + owned) * sizeof *keep);
    if (!keep)
        fail(FAIL_ALLOC, errno, 0);
    for (size_t i = 0; i < kept + owned; i++) {
        int32_t fd;
        if (i < kept)
            memcpy(&fd, given[KEEP_FDS].data + i * sizeof fd, sizeof fd);
        else
            fd = own[i - kept];
        if (fd < 3)
            continue;
        size_t at = count++;
        for (; at && keep[at - 1] > fd; at--)
            keep[at] = keep[at - 1];
        keep[at] = fd;
    }
    unsigned next = 3;
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)keep[i] > next)
            close_range_of(next, (unsigned)keep[i] - 1);
        next = (unsigned)keep[i] + 1;
    }
    close_range_of(next, ~0U);
    free(keep);
}

static int open_slave(int master)
{
    int zero = 0;
    if (ioctl(master, TIOCSPTLCK, &zero) < 0)
        fail(FAIL_UNLOCKPT, errno, 0);
    /* Not by name: the daemon's /dev/pts may be another one's than that of the master. */
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        /* Kernels before 4.13. */
        char name[64];
        if (ptsname_r(master, name, sizeof name) != 0)
            fail(FAIL_PTSNAME, errno, 0);
        slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
            fail(FAIL_OPENPT_SLAVE, errno, 0);
    }
    close(master);
    return move_up(slave);
}

static void connect_standard_streams(enum console console, int slave)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    int fd = -1;
    if (console == CONSOLE_OUTPUT || console == CONSOLE_OWNER) {
        fd = open("/dev/console", O_RDWR | O_NOCTTY);
        if (fd < 0 && console == CONSOLE_OWNER)
            fail(FAIL_CONSOLE, errno, 0);
        if (fd < 0)
            answer(NOTICE, errno, 0);
        else if (console == CONSOLE_OWNER)
            (void)!ioctl(fd, TIOCSCTTY, 1);
    }
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
    if (fd < 0)
        fail(FAIL_CONSOLE, errno, 0);
    /* 0 was free, so it is 0. */
    if (slave < 0)
        slave = fd;
    if (dup2(slave, 1) < 0 || dup2(slave, 2) < 0)
        fail(FAIL_DUP, errno, 0);
}

/* -- the steps of X36 from 8 on ---------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, size);
    int error = errno;
    close(fd);
    errno = error;
    return written == (ssize_t)size ? 0 : -1;
}

static void switch_profile(void)
{
    if (given[APPARMOR_INVALID].data)
        fail(FAIL_SECURITY, 0, 0);
    const char *name = string(APPARMOR);
    if (!name)
        return;
    char *line;
    int size = asprintf(&line, "exec %s\n", name);
    if (size < 0)
        fail(FAIL_ALLOC, ENOMEM, 0);
    if (write_file("/proc/self/attr/exec", line, (size_t)size) < 0)
        fail(FAIL_SECURITY, errno, 0);
    free(line);
}

static void set_oom_score(int score)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%d\n", score);
    if (write_file("/proc/self/oom_score_adj", text, (size_t)size) == 0)
        return;
    if (errno == ENOENT) {
        /* Kernels before 2.6.36. */
        size = snprintf(text, sizeof text, "%d\n", score * (score < 0 ? 17 : 15) / 1000);
        if (write_file("/proc/self/oom_adj", text, (size_t)size) == 0)
            return;
    }
    if (!given[OOM_RESET].data)
        fail(FAIL_OOM_ADJ, errno, 0);
}

static void set_up_surroundings(void)
{
    for (int i = 0; i < RESOURCES; i++)
        if (limits[i].wanted && setrlimit(resources[i], &limits[i].value) < 0)
            fail(FAIL_RLIMIT, errno, i);
    if (given[UMASK].data)
        umask((mode_t)number(UMASK, 022));
    if (given[NICE].data && setpriority(PRIO_PROCESS, 0, number(NICE, 0)) < 0)
        fail(FAIL_PRIORITY, errno, 0);
    if (given[OOM_SCORE].data || given[OOM_RESET].data)
        set_oom_score(number(OOM_SCORE, 0));
    if (string(CHROOT) && chroot(string(CHROOT)) < 0)
        fail(FAIL_CHROOT, errno, 0);
    if (string(CHDIR) && chdir(string(CHDIR)) < 0)
        fail(FAIL_CHDIR, errno, 0);
}

/* Room for one entry of the user or group database; a group may have very many members. */
static char *look_up_room(size_t *size)
{
    *size = *size ? *size * 4 : 4096;
    /* Not given back: the entry found lies in it, and the exec is near. */
    char *room = *size > MOST_ROOM ? NULL : malloc(*size);
    if (!room)
        fail(FAIL_ALLOC, ENOMEM, 0);
    return room;
}

/* The _r functions, because they tell "there is none" (0) from "could not look" (an errno). */
static struct passwd *find_user(const char *name, uid_t uid, enum failure failure, enum failure unknown)
{
    static struct passwd entry;
    struct passwd *found = NULL;
    size_t size = 0;
    int error;
    do {
        char *room = look_up_room(&size);
        error = name ? getpwnam_r(name, &entry, room, size, &found) : getpwuid_r(uid, &entry, room, size, &found);
    } while (error == ERANGE);
    if (!found)
        fail(error ? failure : unknown, error ? error : ENOENT, 0);
    return found;
}

static gid_t find_group(const char *name)
{
    struct group entry, *found = NULL;
    size_t size = 0;
    int error;
    do {
        char *room = look_up_room(&size);
        error = getgrnam_r(name, &entry, room, size, &found);
    } while (error == ERANGE);
    if (!found)
        fail(error ? FAIL_GETGRNAM : FAIL_BAD_SETGID, error, 0);
    return found->gr_gid;
}

static void change_identity(int has_script, int has_slave)
{
    const char *user = string(USER), *group = string(GROUP);
    if (!user && !group)
        return;
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    if (user) {
        struct passwd *person = find_user(user, 0, FAIL_GETPWNAM, FAIL_BAD_SETUID);
        uid = person->pw_uid;
        gid = person->pw_gid;
    }
    if (group)
        gid = find_group(group);
    /* Reopened by the shell through /proc/self/fd/9. */
    if (has_script && fchown(SCRIPT_FD_NUMBER, uid, gid) < 0)
        fail(FAIL_CHOWN, errno, 0);
    /* So that the process can open /dev/stderr (X131). It does without where that is not allowed. */
    if (user && has_slave)
        (void)!fchown(1, uid, (gid_t)-1);
    if (geteuid() == 0) {
        /* With setuid alone the extra group is the user's own, not the daemon's (X54). */
        if (!user)
            user = find_user(NULL, getuid(), FAIL_GETPWUID, FAIL_GETPWUID)->pw_name;
        if (initgroups(user, gid) < 0)
            fail(FAIL_INITGROUPS, errno, 0);
    }
    if (setgid(gid) < 0)
        fail(FAIL_SETGID, errno, 0);
    if (uid != (uid_t)-1 && setuid(uid) < 0)
        fail(FAIL_SETUID, errno, 0);
}

static void reset_signals(void)
{
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal <= LAST_CLASSIC_SIGNAL; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            sigaction(signal, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* -- exec ---------------------------------------------------------------------------------------------------- */

/* One candidate; argv[-1] is free. Returns if it cannot be executed. */
static void execute_file(const char *path, char **argv, char **environment)
{
    execve(path, argv, environment);
    if (errno != ENOEXEC)
        return;
    /* A text without #! (X11). */
    char *name = argv[0], **shell = argv - 1;
    shell[0] = "/bin/sh";
    shell[1] = (char *)path;
    execve(shell[0], shell, environment);
    argv[0] = name;
}

/* execvpe(3), but with the PATH of the new environment (X10). Returns the errno. */
static int execute(char **argv, char **environment)
{
    const char *name = argv[0];
    if (strchr(name, '/')) {
        execute_file(name, argv, environment);
        return errno;
    }
    if (!*name)
        return ENOENT;
    size_t length = strlen(name);
    if (length > NAME_MAX)
        return ENAMETOOLONG;
    const char *directories = "/bin:/usr/bin";
    for (char **each = environment; *each; each++)
        if (strncmp(*each, "PATH=", 5) == 0) {
            directories = *each + 5;
            break;
        }
    char *path = malloc(strlen(directories) + 1 + length + 1);
    if (!path)
        return errno;
    int denied = 0;
    for (const char *at = directories;; at++) {
        size_t size = strcspn(at, ":");
        memcpy(path, at, size);
        /* An empty entry is the current directory. */
        if (size)
            path[size++] = '/';
        memcpy(path + size, name, length + 1);
        execute_file(path, argv, environment);
        if (errno == EACCES)
            denied = 1;
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
            return errno;
        at += strcspn(at, ":");
        if (!*at)
            return denied ? EACCES : errno;
    }
}

static void wait_for_leave(void)
{
    struct stat found;
    char byte;
    ssize_t got;
    if (status_fd < 0 || fstat(status_fd, &found) < 0 || !S_ISSOCK(found.st_mode))
        return;
    do
        got = read(status_fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(255);
    int passage = number(PASSAGE_FD, -1);
    /* If it cannot be noted a later daemon may have to guess; this one need not. */
    if (passage >= 0 && given[PASSAGE].size > 1 && write(passage, given[PASSAGE].data, given[PASSAGE].size - 1) < 0)
        return;
}

/* Does what the specification says, up to the exec. */
void become(const char *specification)
{
    read_specification(specification);
    wait_for_leave();

    enum console console = (enum console)number(CONSOLE, CONSOLE_NONE);
    status_fd = move_up(status_fd);
    int master = move_up(number(PTY_FD, -1));
    int script = move_up(number(SCRIPT_FD, -1));
    int own[] = { status_fd, master, script };
    close_others(own, sizeof own / sizeof *own);
    int slave = console == CONSOLE_LOG && master >= 0 ? open_slave(master) : -1;
    if (script >= 0) {
        if (dup2(script, SCRIPT_FD_NUMBER) < 0)
            fail(FAIL_DUP, errno, 0);
        close(script);
    }
    setsid();
    connect_standard_streams(console, slave);
    switch_profile();
    set_up_surroundings();
    enum tag command = ARGV;
    /* Before the change of user, after which /proc/self/fd belongs to root until the exec. */
    if (given[FALLBACK_ARGV].size && access("/proc/self/fd/9", F_OK) < 0)
        command = FALLBACK_ARGV;
    change_identity(script >= 0, slave >= 0);
    reset_signals();
    if (command == FALLBACK_ARGV)
        close(SCRIPT_FD_NUMBER);
    char **arguments = strings(command, 1), **environment = strings(ENVIRONMENT, 0);
    outlast_server();
    if (given[DEBUG_STOP].data) {
        close(status_fd);
        status_fd = -1;
        /* Not raise(), which may remember the thread of the server. */
        kill(getpid(), SIGSTOP);
    }
    fail(FAIL_EXEC, execute(arguments, environment), 0);
}
