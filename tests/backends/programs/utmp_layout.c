/* Prints how libc lays out a record of utmp: its size, then offset and size of each field. */
#include <stddef.h>
#include <stdio.h>
#include <utmp.h>

#define FIELD(name) printf(" %zu:%zu", offsetof(struct utmp, name), sizeof ((struct utmp *)0)->name)

int main(void)
{
    printf("%zu", sizeof(struct utmp));
    FIELD(ut_type);
    FIELD(ut_pid);
    FIELD(ut_line);
    FIELD(ut_id);
    FIELD(ut_user);
    FIELD(ut_host);
    FIELD(ut_exit);
    FIELD(ut_session);
    FIELD(ut_tv.tv_sec);
    FIELD(ut_tv.tv_usec);
    FIELD(ut_addr_v6);
    printf("\n");
    return 0;
}
