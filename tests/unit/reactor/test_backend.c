/* SPDX-License-Identifier: MIT
 *
 * test_backend.c - which backend a name gives, in a build with io_uring and without, and on a
 * kernel that refuses.
 */
#include "reactor/backend.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void
epoll_is_what_it_is_called(void **state)
{
    (void)state;
    char problem[BACKEND_PROBLEM_BYTES] = "old";
    assert_ptr_equal(backend_find(SLICE_LIT("epoll"), problem), &epoll_ops);
    assert_string_equal(problem, "");
    assert_ptr_equal(backend_find(SLICE_NONE, problem), &epoll_ops);
    assert_string_equal(problem, "");
}

static void
io_uring_is_found_or_its_absence_is_explained(void **state)
{
    (void)state;
    char problem[BACKEND_PROBLEM_BYTES], of_auto[BACKEND_PROBLEM_BYTES];
    const struct backend_ops *ops = backend_find(SLICE_LIT("io_uring"), problem);
    assert_ptr_equal(backend_find(SLICE_LIT("auto"), of_auto), ops);
    assert_string_equal(problem, of_auto);
#ifdef PENSTOCK_IO_URING
    assert_ptr_equal(ops, problem[0] ? &epoll_ops : &uring_ops);
#else
    assert_ptr_equal(ops, &epoll_ops);
    assert_string_equal(problem, "this build is without it");
#endif
}

#ifdef PENSTOCK_IO_URING
/* refuse - from here on this process gets an errno for one of io_uring's calls, as under a
 * container's filter. */
static int
refuse(unsigned call, unsigned number)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = countof(rules), .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

enum { FELL_BACK = 0, NO_FILTER = 77 };

static int
find_refused(unsigned call, unsigned number)
{
    char problem[BACKEND_PROBLEM_BYTES];
    if (refuse(call, number))
        return NO_FILTER;
    const struct backend_ops *ops = backend_find(SLICE_LIT("auto"), problem);
    return ops != &epoll_ops || strcmp(problem, strerror((int)number)) != 0;
}

static void
a_kernel_that_refuses_leaves_epoll(void **state)
{
    (void)state;
    static const struct {
        unsigned call, number;
    } refusals[] = {
        {SYS_io_uring_setup, EPERM},  {SYS_io_uring_setup, ENOSYS}, {SYS_io_uring_setup, ENOMEM},
        {SYS_io_uring_setup, EINVAL}, {SYS_io_uring_enter, EPERM},
    };
    for (size_t i = 0; i < countof(refusals); i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(find_refused(refusals[i].call, refusals[i].number));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == NO_FILTER) {
            printf("skipped: this machine grants no seccomp filter\n");
            skip();
        }
        assert_int_equal(WEXITSTATUS(status), FELL_BACK);
    }
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoll_is_what_it_is_called),
        cmocka_unit_test(io_uring_is_found_or_its_absence_is_explained),
#ifdef PENSTOCK_IO_URING
        cmocka_unit_test(a_kernel_that_refuses_leaves_epoll),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
