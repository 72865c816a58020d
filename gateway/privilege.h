/* SPDX-License-Identifier: MIT
 *
 * privilege.h - what a process that was started as root gives up before it talks to anybody.
 *
 * To be called while there is one thread: capabilities and no_new_privs belong to threads, and new ones inherit them.
 */
#ifndef PENSTOCK_PRIVILEGE_H
#define PENSTOCK_PRIVILEGE_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <sys/types.h>

#define PRIVILEGE_PROBLEM_BYTES 200

struct identity {
    uid_t user;
    gid_t group;
};

/*
 * privilege_find - whom "user", "user:group" or numbers in their places stand for, by /etc/passwd and /etc/group. A number
 * alone has its user's group, or the group of that number when there is no such user.
 * returns   0, -ERR_CONFIG with a problem
 */
int privilege_find(struct slice name, struct identity *out, char problem[PRIVILEGE_PROBLEM_BYTES]) must_check;
/*
 * privilege_become - this user and group and no others, no capabilities, no way back by set-user-ID programs, no core file.
 * As root only. When the user is root it stays root with what privilege_shed leaves.
 * returns   0, -ERR_SYSTEM with a problem: then the process must not go on
 */
int privilege_become(struct identity identity, char problem[PRIVILEGE_PROBLEM_BYTES]) must_check;
/*
 * privilege_shed - for root that stays root: every capability goes but those to read and write files whoever they belong to,
 * so that what could be read at the start can be read at a reload, and the log can be rotated.
 * returns   as above
 */
int privilege_shed(char problem[PRIVILEGE_PROBLEM_BYTES]) must_check;

#endif
