/* SPDX-License-Identifier: MIT
 *
 * load_client.c - from request to answer and to the next request, and the pace of streams.
 */
#include "tools/fake_provider/load_client.h"
#include "tools/fake_provider/load_request.h"
#include "tools/load/clock.h"

#include <stdlib.h>
#include <string.h>

#define UNSENT_MAX (64u << 10)

struct load_client *
load_client_new(struct load_provider *provider)
{
    struct load_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    link_init(&client->link, &provider->links);
    timer_init(&client->timer);
    list_init(&client->ready);
    list_init(&client->all);
    list_push_back(&provider->clients, &client->all);
    client->provider = provider;
    return client;
}

void
load_client_free(struct load_client *client)
{
    timer_stop(&client->timer);
    list_remove(&client->ready);
    list_remove(&client->all);
    free(client->in);
    free(client->text);
    free(client);
}

static struct plan *
plan_for(struct load_provider *provider, const struct load_request *request)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < request->model.len; i++)
        hash = (hash ^ (unsigned char)request->model.ptr[i]) * 16777619u;
    struct list *head = &provider->plans[hash % PLANS_HASHED];
    for (struct list *node = head->next; node != head; node = node->next) {
        struct plan *plan = list_entry(node, struct plan, link);
        if (plan->dialect == request->dialect && plan->usage == request->usage &&
            slice_is(request->model, plan->model))
            return plan;
    }
    struct plan *plan = plan_make(request->model, request->dialect, request->usage);
    if (plan)
        list_push_front(head, &plan->link);
    return plan;
}

/* Where in the interval a stream has its place: golden steps leave no gaps, however many streams
 * there are. */
static uint64_t
first_due_ns(struct plan *plan, uint64_t now_ns)
{
    uint64_t step = 0x9e3779b97f4a7c15ull * plan->started++;
    uint64_t place = (uint64_t)(((unsigned __int128)step * plan->interval_ns) >> 64);
    uint64_t due_ns = now_ns - now_ns % plan->interval_ns + place;
    return due_ns < now_ns ? due_ns + plan->interval_ns : due_ns;
}

/* The answer is over: closed, or the next request. */
static void
finish(struct load_client *client)
{
    bool close = client->close || client->plan->close;
    client->plan = NULL;
    client->text_len = 0;
    if (!close)
        return;
    client->close = true;
    if (!link_unsent(&client->link))
        link_close(&client->link, false);
}

/* The fault of the plan, in front of a text. */
static void
fail(struct load_client *client)
{
    client->over = true;
    switch (client->plan->fault) {
    case FAULT_CUT:
        client->close = true;
        if (!link_unsent(&client->link))
            link_close(&client->link, false);
        break;
    case FAULT_RESET:
        link_close(&client->link, true);
        break;
    case FAULT_ERROR:
        answer_end(client, client->provider->scratch);
        finish(client);
        break;
    default:
        break; /* it stalls */
    }
}

/* A turn of a paced stream: a burst of events, each written by itself. */
static void
pace(struct load_client *client)
{
    struct plan *plan = client->plan;
    struct load_provider *provider = client->provider;
    unsigned texts = answer_texts(plan);
    for (unsigned i = 0; i < plan->burst && client->written < texts; i++) {
        if (link_unsent(&client->link) > UNSENT_MAX)
            break; /* the reader is slow: later */
        if (answer_fails_here(client)) {
            fail(client);
            return;
        }
        char *end = answer_text(client, provider->scratch, clock_now_ns());
        link_write(&client->link, provider->scratch, (size_t)(end - provider->scratch));
    }
    if (client->written < texts) {
        timers_add(&provider->timers, &client->timer, client->timer.due_ns + plan->interval_ns);
        return;
    }
    answer_end(client, provider->scratch);
    finish(client);
}

/* More of an unpaced stream: as much as is good for one write, or one event. */
static void
go_on(struct load_client *client)
{
    struct plan *plan = client->plan;
    struct load_provider *provider = client->provider;
    unsigned texts = answer_texts(plan);
    char *at = provider->scratch;
    uint64_t now_ns = clock_now_ns();
    if (!client->begun)
        at = answer_begin(client, at);
    client->begun = true;
    size_t enough = plan->apart ? 1 : ANSWER_ROOM / 4;
    while (client->written < texts && (size_t)(at - provider->scratch) < enough) {
        if (answer_fails_here(client)) {
            link_write(&client->link, provider->scratch, (size_t)(at - provider->scratch));
            fail(client);
            return;
        }
        at = answer_text(client, at, now_ns);
    }
    if (client->written == texts) {
        answer_end(client, at);
        finish(client);
        return;
    }
    link_write(&client->link, provider->scratch, (size_t)(at - provider->scratch));
    if (!link_unsent(&client->link) && !client->link.closing)
        list_push_back(&provider->ready, &client->ready);
}

static void
send_whole(struct load_client *client)
{
    enum plan_fault fault = client->plan->fault;
    answer_whole(client);
    if (fault == FAULT_CUT || fault == FAULT_RESET || fault == FAULT_STALL)
        fail(client);
    else
        finish(client);
}

/* begin - the wait in front of the answer is over. */
static void
begin(struct load_client *client)
{
    struct plan *plan = client->plan;
    struct load_provider *provider = client->provider;
    if (plan->fault == FAULT_STATUS) {
        char memory[256];
        answer_status(client, plan->status, plan_error_body(plan, memory, sizeof(memory)));
        finish(client);
    } else if (!client->stream) {
        send_whole(client);
    } else if (!plan->interval_ns) {
        go_on(client);
    } else {
        char *end = answer_begin(client, provider->scratch);
        client->begun = true;
        link_write(&client->link, provider->scratch, (size_t)(end - provider->scratch));
        timers_add(&provider->timers, &client->timer, first_due_ns(plan, clock_now_ns()));
    }
}

void
load_client_room(struct load_client *client)
{
    if (client->close && (!client->plan || client->over)) {
        link_close(&client->link, false);
        return;
    }
    if (client->plan && client->stream && client->begun && !client->over &&
        !client->plan->interval_ns && !list_linked(&client->ready))
        list_push_back(&client->provider->ready, &client->ready);
}

static void
start(struct load_client *client, const struct load_request *request)
{
    struct load_provider *provider = client->provider;
    provider->requests++;
    if (!request->known) {
        answer_status(
            client, 404,
            SLICE_LIT(
                "{\"error\":{\"message\":\"load_provider knows POST requests of the four dialects, "
                "with a model\"}}"));
        return;
    }
    client->plan = plan_for(provider, request);
    if (!client->plan) {
        link_close(&client->link, true);
        return;
    }
    client->id = request->id;
    client->stream = request->stream;
    client->begun = client->over = false;
    client->written = 0;
    if (client->plan->wait_ns)
        timers_add(&provider->timers, &client->timer, clock_now_ns() + client->plan->wait_ns);
    else
        begin(client);
}

/* How many of the bytes were used for requests that are answered or being answered. */
static size_t
take_from(struct load_client *client, struct slice bytes, size_t *wanted)
{
    size_t used = 0;
    *wanted = 0;
    while (used < bytes.len && !client->plan && !client->link.closing && !client->close) {
        struct load_request request;
        int whole = load_request_read(slice_skip(bytes, used), &request);
        if (whole < 0) {
            answer_status(
                client, 400,
                SLICE_LIT("{\"error\":{\"message\":\"no request that load_provider can read\"}}"));
            link_close(&client->link, false);
            break;
        }
        if (!whole) {
            *wanted = request.len;
            break;
        }
        used += request.len;
        start(client, &request);
    }
    return used;
}

static void
keep(struct load_client *client, struct slice bytes, size_t wanted)
{
    size_t room = client->in_len + bytes.len;
    room = room < wanted ? wanted : room;
    if (room > client->in_room) {
        char *grown = realloc(client->in, room);
        if (!grown) {
            link_close(&client->link, true);
            return;
        }
        client->in = grown;
        client->in_room = room;
    }
    memcpy(client->in + client->in_len, bytes.ptr, bytes.len);
    client->in_len += bytes.len;
}

static void
take_requests(struct load_client *client)
{
    if (!client->in_len)
        return;
    size_t wanted, used = take_from(client, slice_of(client->in, client->in_len), &wanted);
    client->in_len -= used;
    if (client->in_len) {
        memmove(client->in, client->in + used, client->in_len);
        return;
    }
    free(client->in);
    client->in = NULL;
    client->in_room = 0;
}

void
load_client_bytes(struct load_client *client, struct slice bytes)
{
    if (client->in_len) {
        keep(client, bytes, 0);
        if (!client->link.closing)
            take_requests(client);
        return;
    }
    size_t wanted, used = take_from(client, bytes, &wanted);
    if (used < bytes.len && !client->link.closing)
        keep(client, slice_skip(bytes, used), wanted);
}

void
load_client_due(struct load_client *client)
{
    if (client->begun)
        pace(client);
    else
        begin(client);
    if (!client->plan && !client->link.closing)
        take_requests(client);
}

void
load_client_go_on(struct load_client *client)
{
    go_on(client);
    if (!client->plan && !client->link.closing)
        take_requests(client);
}
