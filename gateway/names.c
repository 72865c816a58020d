/* SPDX-License-Identifier: MIT
 *
 * names.c - model names with and without dates.
 */
#include "gateway/names.h"

#define DATE_LEN 9u /* "-20251001" */

static bool
ends_in_date(struct slice name)
{
    if (name.len <= DATE_LEN)
        return false;
    const char *tail = name.ptr + name.len - DATE_LEN;
    bool date = (tail[0] == '-' || tail[0] == '@') && tail[1] == '2' && tail[2] == '0';
    for (size_t i = 3; i < DATE_LEN; i++)
        date = date && tail[i] >= '0' && tail[i] <= '9';
    return date;
}

bool
names_same(struct slice a, struct slice b)
{
    return ends_in_date(a) && ends_in_date(b) && a.len == b.len && slice_eq(slice_take(a, a.len - DATE_LEN), slice_take(b, b.len - DATE_LEN)) &&
           memcmp(a.ptr + a.len - DATE_LEN + 1, b.ptr + b.len - DATE_LEN + 1, DATE_LEN - 1) == 0;
}

bool
names_dated(struct slice name, struct slice undated)
{
    return ends_in_date(name) && slice_eq(slice_take(name, name.len - DATE_LEN), undated);
}
