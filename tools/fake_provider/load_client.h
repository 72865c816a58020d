/* SPDX-License-Identifier: MIT
 *
 * load_client.h - a client of load_provider and the answer it is getting.
 */
#ifndef PENSTOCK_LOAD_CLIENT_H
#define PENSTOCK_LOAD_CLIENT_H

#include "tools/fake_provider/load_plan.h"
#include "tools/load/link.h"
#include "tools/load/timers.h"

#define PLANS_HASHED 64

struct load_provider {
    struct links links;
    struct timers timers;
    struct list ready; /* clients whose streams go on as fast as they can */
    struct list clients;
    struct link listeners[NET_ADDRESSES_MAX];
    int listener_count;
    struct list plans[PLANS_HASHED];
    char *scratch;
    uint64_t requests;
};

struct load_client {
    struct link link;
    struct timer timer;
    struct list ready, all;
    struct load_provider *provider;
    char *in; /* a request that is not complete, or came early */
    size_t in_len, in_room;
    struct plan *plan; /* NULL: no answer is under way */
    bool stream, begun, over, close;
    unsigned written; /* texts so far */
    uint64_t id;
    char *text; /* Responses repeat at the end what was said */
    size_t text_len, text_room;
};

/* load_client_new - NULL without memory. */
struct load_client *load_client_new(struct load_provider *provider) must_check;
void load_client_free(struct load_client *client);
/* load_client_bytes - requests, or parts of them. */
void load_client_bytes(struct load_client *client, struct slice bytes);
/* load_client_room - what was written has left. */
void load_client_room(struct load_client *client);
/* load_client_due - the client's timer came. */
void load_client_due(struct load_client *client);
/* load_client_go_on - more of an unpaced stream. */
void load_client_go_on(struct load_client *client);

/* -- load_answer.c -- */

#define ANSWER_ROOM (128u << 10) /* of provider->scratch */

/* answer_begin, answer_text, answer_end - write a part of the stream at `at`, as chunks; return
 * where it ends. What they write fits into half of the scratch, but for the end of Responses, which
 * is sent at once. */
char *answer_begin(struct load_client *client, char *at);
char *answer_text(struct load_client *client, char *at, uint64_t now_ns);
void answer_end(struct load_client *client, char *at);
/* answer_whole - send a whole answer. */
void answer_whole(struct load_client *client);
/* answer_status - send an error, or a refusal of what is not understood (404, 400). */
void answer_status(struct load_client *client, int status, struct slice body);
/* answer_fails_here - the fault of the plan happens in front of the next text. */
bool answer_fails_here(const struct load_client *client);
/* answer_texts - how many texts are written, faults counted in. */
unsigned answer_texts(const struct plan *plan);

#endif
