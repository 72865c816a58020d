/* SPDX-License-Identifier: MIT
 *
 * privilege.c - user, groups, capabilities. No libcap, and no name services: what names users here are files, so that a
 * static build and a process without network do the same.
 */
#include "gateway/privilege.h"

#include "base/text.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ID_MOST 4294967294u /* all ones mean "leave it" to the kernel */

static int
failed(const char *what, char *problem)
{
    snprintf(problem, PRIVILEGE_PROBLEM_BYTES, "%s: %s", what, strerror(errno));
    return -ERR_SYSTEM;
}

/* Their records go to the caller by value; the C library keeps one of them at a time. */
static bool
find_user(struct slice name, bool number, uint64_t id, struct identity *out)
{
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd *row = NULL;
    while (file && (row = fgetpwent(file)) != NULL)
        if (number ? row->pw_uid == id : slice_is(name, row->pw_name))
            break;
    if (row)
        *out = (struct identity){row->pw_uid, row->pw_gid};
    if (file)
        fclose(file);
    return row != NULL;
}

static bool
find_group(struct slice name, gid_t *out)
{
    FILE *file = fopen("/etc/group", "re");
    struct group *row = NULL;
    while (file && (row = fgetgrent(file)) != NULL)
        if (slice_is(name, row->gr_name))
            break;
    if (row)
        *out = row->gr_gid;
    if (file)
        fclose(file);
    return row != NULL;
}

int
privilege_find(struct slice name, struct identity *out, char problem[PRIVILEGE_PROBLEM_BYTES])
{
    struct slice group = name;
    struct slice user = text_split(&group, ':');
    uint64_t id = 0;
    bool number = text_u64(user, &id);
    problem[0] = '\0';
    if (number && id > ID_MOST) {
        snprintf(problem, PRIVILEGE_PROBLEM_BYTES, "%.*s is no user's number", SLICE_ARG(slice_take(user, 60)));
        return -ERR_CONFIG;
    }
    if (!find_user(user, number, id, out)) {
        if (!number) {
            snprintf(problem, PRIVILEGE_PROBLEM_BYTES, "/etc/passwd knows no user %.*s", SLICE_ARG(slice_take(user, 60)));
            return -ERR_CONFIG;
        }
        *out = (struct identity){(uid_t)id, (gid_t)id};
    }
    if (!slice_present(group))
        return 0;
    if (text_u64(group, &id) && id <= ID_MOST) {
        out->group = (gid_t)id;
        return 0;
    }
    if (find_group(group, &out->group))
        return 0;
    snprintf(problem, PRIVILEGE_PROBLEM_BYTES, "/etc/group knows no group %.*s", SLICE_ARG(slice_take(group, 60)));
    return -ERR_CONFIG;
}

/* What nothing that is executed can get any more. Where we may not change that, no_new_privs is what holds. */
static void
narrow_bounds(uint64_t mask)
{
    for (int i = 0; i <= 63; i++)
        if (!(mask >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno == EINVAL)
            return; /* the kernel knows no more of them */
}

/* Leaves the capabilities of the mask, of those that there are; nothing that is executed gets others. */
static int
keep_capabilities(uint64_t mask, char *problem)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL)
        return failed("ambient capabilities", problem);
    if (syscall(SYS_capget, &header, data) != 0)
        return failed("capabilities", problem);
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(mask >> (32 * i));
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) != 0)
        return failed("capabilities", problem);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("no_new_privs", problem);
    return 0;
}

int
privilege_shed(char problem[PRIVILEGE_PROBLEM_BYTES])
{
    uint64_t files = 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH;
    problem[0] = '\0';
    narrow_bounds(files);
    return keep_capabilities(files, problem);
}

int
privilege_become(struct identity identity, char problem[PRIVILEGE_PROBLEM_BYTES])
{
    if (identity.user == 0)
        return privilege_shed(problem);
    problem[0] = '\0';
    if (setgroups(0, NULL) != 0)
        return failed("supplementary groups", problem);
    if (setresgid(identity.group, identity.group, identity.group) != 0)
        return failed("group", problem);
    narrow_bounds(0); /* while there still is the capability to do it; setresuid takes the rest */
    if (setresuid(identity.user, identity.user, identity.user) != 0)
        return failed("user", problem);
    int error = keep_capabilities(0, problem);
    if (error < 0)
        return error;
    /* The kernel does this too, unless fs.suid_dumpable says otherwise: a core file would hold keys. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return failed("core files", problem);
    if (setuid(0) == 0) {
        snprintf(problem, PRIVILEGE_PROBLEM_BYTES, "the way back to root is open");
        return -ERR_SYSTEM;
    }
    return 0;
}
