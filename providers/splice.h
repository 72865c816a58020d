/* SPDX-License-Identifier: MIT
 *
 * splice.h - a JSON text passed on with a few places changed and every other byte as it was.
 *
 * Edits are noted in any order and applied once. They must not overlap; what stands in their place
 * must live until splice_put. A place is named by a slice of the text itself, as json_raw and
 * json_key give it.
 */
#ifndef PENSTOCK_SPLICE_H
#define PENSTOCK_SPLICE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct splice_edit {
    size_t at, len;
    struct slice with;
};

struct splice {
    struct slice text;
    struct arena *arena;
    struct splice_edit *edits; /* by place */
    size_t count, capacity;
    bool failed; /* no memory: splice_put says so */
};

#define SPLICE_KEPT_LEAST_BYTES 16384u
#define SPLICE_KEPT_MAX 8

/* Long runs of the text that were not copied: each belongs in front of what was put from `at` on, in this order. */
struct splice_kept {
    struct {
        size_t at;
        struct slice run;
    } runs[SPLICE_KEPT_MAX];
    size_t count, bytes; /* of all runs */
};

void splice_init(struct splice *splice, struct slice text, struct arena *arena);
/* splice_replace - old (a part of the text) becomes with. */
void splice_replace(struct splice *splice, struct slice old, struct slice with);
/* splice_member - set a member of an object of the text to a JSON value: replaced if it is there,
 * else added behind the others. name is a plain literal. Members added to one object come in the
 * order of the calls. */
void splice_member(struct splice *splice, struct json object, const char *name, struct slice value);
/* splice_add - add `"name":value` behind the members of an object that certainly lacks it. name is
 * escaped contents. */
void splice_add(struct splice *splice, struct json object, struct slice name, struct slice value);
/* splice_remove - take a member out of its object, with one comma. Not for two neighbours at once.
 */
void splice_remove(struct splice *splice, struct json member);
/* splice_put - the text with its edits. 0, -ERR_MEMORY. */
int splice_put(const struct splice *splice, struct sink *out) must_check;
/* splice_pass - the same, but what is long and untouched is only noted in kept (which the caller has emptied). NULL: all of
 * it is copied. */
int splice_pass(const struct splice *splice, struct sink *out, struct splice_kept *kept) must_check;

#endif
