/* What the benchmarks run as a job's process.
 *
 *   stamp FILE            append the monotonic time in ns to FILE as the first thing, then sleep
 *   stamp FILE fork       fork once, the parent ends, the child sleeps      (expect fork)
 *   stamp FILE daemon     fork twice                                        (expect daemon)
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    char line[32];
    int fd, length, forks;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc > 1 && strcmp(argv[1], "-") != 0) {
        fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
        length = snprintf(line, sizeof line, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
        if (fd < 0 || write(fd, line, (size_t)length) != length)
            return 1;
        close(fd);
    }
    forks = argc > 2 ? (strcmp(argv[2], "daemon") == 0 ? 2 : 1) : 0;
    while (forks-- > 0)
        if (fork() != 0)
            _exit(0);
    for (;;)
        pause();
}
