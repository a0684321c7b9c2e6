/* traced [-SIGNAL] PROGRAM ARGUMENT...: asks to be traced, raises SIGNAL if one is given, and executes PROGRAM. */
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return 101;
    argv++;
    if (argv[0][0] == '-')
        raise(atoi(*argv++ + 1));
    execv(argv[0], argv);
    return 102;
}
