/* SPDX-License-Identifier: MIT
 *
 * load_request.h - what load_provider has to know of a request: where it ends, and the few words
 * that steer the answer. It looks for them instead of parsing, since it shares its processor with
 * the program that asks.
 */
#ifndef PENSTOCK_LOAD_REQUEST_H
#define PENSTOCK_LOAD_REQUEST_H

#include "tools/fake_provider/load_plan.h"

#define REQUEST_HEAD_MAX 65536u
#define REQUEST_BODY_MAX (256u << 20)

struct load_request {
    size_t len; /* of head and body, as soon as the head is there */
    bool known; /* a POST on a path of one of the dialects */
    bool stream, usage;
    enum plan_dialect dialect;
    struct slice model;
    uint64_t id;
};

/*
 * load_request_read - look at what a connection sent so far.
 * returns  1 a whole request (request->len of the bytes), 0 not yet (request->len is 0 until the
 * head is complete), -1 it is none that we could answer
 */
int load_request_read(struct slice bytes, struct load_request *request) must_check;

#endif
