/* SPDX-License-Identifier: MIT
 *
 * custom.h - tools with free-form input, towards upstreams that know only functions.
 *
 * Such a tool is sent as a function whose one property is the string `input`. What comes back is a
 * call with the arguments {"input":"..."}: the filter makes it a custom call with that text again,
 * however the arguments were split.
 */
#ifndef PENSTOCK_CUSTOM_H
#define PENSTOCK_CUSTOM_H

#include "providers/canon.h"

/* The parameters of the function that stands for a custom tool. */
extern const struct slice canon_custom_schema;

struct canon_custom_name;
struct canon_custom_call;
struct canon_custom {
    struct arena *arena;
    struct canon_custom_name
        *names; /* of the client's custom tools; NULL: there is nothing to do */
    struct canon_custom_call *open, *spare;
};

/*
 * canon_custom_init - remember the names of the request's custom tools: the request may go
 * afterwards. NULL: there is none. returns 0 or -ERR_MEMORY
 */
int canon_custom_init(struct canon_custom *custom, const struct canon_request *request,
                      struct arena *arena) must_check;
/*
 * canon_custom_filter - calls of custom tools that came as functions become custom calls, in place.
 * For the client's writer, behind the guard. Arguments that are no such object become the text as
 * they are. 0 or -ERR_MEMORY.
 */
int canon_custom_filter(struct canon_custom *custom, struct canon_events *events) must_check;

#endif
