/* SPDX-License-Identifier: MIT
 *
 * err.c - the error table laid out as rows, and the words and statuses of the kinds.
 */
#include "base/err.h"

#define ERR_ROW(name, blame, status, retryable, kind, code, text)                                  \
    {#name, code, text, BLAME_##blame, KIND_##kind, status, retryable},
static const struct err_row rows[] = {ERR_TABLE(ERR_ROW)};
#undef ERR_ROW

_Static_assert(countof(rows) == ERR_COUNT, "one row for each error");

static const struct {
    const char *name;
    int status;
} kinds[] = {
    [KIND_INVALID] = {"invalid", 400},
    [KIND_CONTEXT] = {"context", 400},
    [KIND_AUTH] = {"auth", 401},
    [KIND_BILLING] = {"billing", 402},
    [KIND_PERMISSION] = {"permission", 403},
    [KIND_NOT_FOUND] = {"not_found", 404},
    [KIND_TOO_LARGE] = {"too_large", 413},
    [KIND_RATE_LIMIT] = {"rate_limit", 429},
    [KIND_OVERLOADED] = {"overloaded", 503},
    [KIND_TIMEOUT] = {"timeout", 504},
    [KIND_UPSTREAM] = {"upstream", 502},
    [KIND_INTERNAL] = {"internal", 500},
    [KIND_CANCELLED] = {"cancelled", 499},
};

_Static_assert(countof(kinds) == KIND_COUNT, "one name for each kind");

const struct err_row *
err_row(int error)
{
    /* Compared on both sides, so that INT_MIN is never negated. */
    if (error <= -(int)ERR_COUNT || error >= (int)ERR_COUNT)
        return &rows[ERR_INTERNAL];
    return &rows[error < 0 ? -error : error];
}

const char *
err_kind_name(enum err_kind kind)
{
    if ((unsigned)kind >= KIND_COUNT)
        kind = KIND_INTERNAL;
    return kinds[kind].name;
}

int
err_kind_status(enum err_kind kind)
{
    if ((unsigned)kind >= KIND_COUNT)
        kind = KIND_INTERNAL;
    return kinds[kind].status;
}
