/* traced [-SIGNAL] PROGRAM ARGUMENT...: says that it runs, waits to be seized, raises SIGNAL if one is given, and executes PROGRAM. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define LEAVE_FD 3

int main(int argc, char **argv)
{
    char byte;
    if (argc < 2 || write(LEAVE_FD, "", 1) != 1 || read(LEAVE_FD, &byte, 1) != 1)
        return 101;
    close(LEAVE_FD);
    argv++;
    if (argv[0][0] == '-')
        raise(atoi(*argv++ + 1));
    execv(argv[0], argv);
    return 102;
}
