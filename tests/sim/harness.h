/* SPDX-License-Identifier: MIT
 *
 * harness.h - a world in virtual time: one worker of the gateway over the simulator, providers that
 * follow a script, and clients that do as they are told.
 *
 * The same seed gives the same run. What goes wrong in the world itself (a stream without a
 * deadline, a loop that sleeps over work) asserts at once and prints the seed with the flight
 * recorder.
 */
#ifndef PENSTOCK_SIM_HARNESS_H
#define PENSTOCK_SIM_HARNESS_H

#include "gateway/tape.h"
#include "gateway/worker.h"
#include "reactor/sim.h"
#include "tests/sim/answer.h"

#define WORLD_PORT 4000 /* the gateway's */
#define WORLD_CHAT_PORT 9001
#define WORLD_CLAUDE_PORT 9002
#define WORLD_SPARE_PORT 9003
#define WORLD_ANSWERS_PORT 9004
#define WORLD_GEMINI_PORT 9005

struct provider;
struct client;

struct world {
    struct sim *sim;
    struct gateway gateway;
    struct tape_store tapes;
    struct worker *worker, *workers[1];
    size_t worker_count;
    uint64_t ticks;
    void (*closed)(void); /* told when providers and clients are gone */
    struct provider *providers;
    struct client *clients;
    uint64_t seed;
    bool unruly; /* the test posts notices by force or breaks the pool: some invariants do not hold
                  */
    bool scarce; /* memory may be refused, or nearly all of the pool be in use */
};

/*
 * world_open - a worker that listens, and providers for the three ports, which answer well until
 * told otherwise. faults  NULL: a perfect world yaml    what follows the models in the
 * configuration; one that begins with "model_list" replaces them; with a line "# by name" upstreams are called by names
 * rather than addresses. The models: "chat" (Chat at
 * 9001), "claude" (Messages at 9002), "spare" (Chat at 9003), "pair" (9001, then 9003),
 * "answers" (Responses at 9004), "gemini" (Gemini at 9005), "all" (9005, 9004, 9002, 9001 in this order)
 */
void world_open(struct world *world, uint64_t seed, const struct sim_faults *faults,
                const char *yaml);
/* world_close - wait until every stream has ended, check that nothing is left behind, end the
 * worker. */
void world_close(struct world *world);
/* world_run - let this much time pass. world_until - the same, until stop says so; false when it
 * never did. */
void world_run(struct world *world, uint64_t ms);
bool world_until(struct world *world, bool (*stop)(void *), void *user, uint64_t ms);
uint64_t world_ms(const struct world *world);
/* world_generation - another configuration, as for world_open; for worker_take_generation. */
struct generation *world_generation(const char *yaml);
/* world_stream - the gateway's stream of the n-th connection that still lives; NULL: none. */
struct stream *world_stream(struct world *world, uint32_t n);
/* world_state - its state, STATE_CLOSED when there is none. */
enum stream_state world_state(struct world *world);
/* world_covered - how often this row of the table was taken in all worlds of this process. */
uint64_t world_covered(enum stream_state state, enum stream_event event);
/* world_injected - the same for faults. */
uint64_t world_injected(enum sim_fault fault);
/* world_check - invariants.c: what must hold when this worker is about to sleep. */
void world_check(const struct world *world, const struct worker *worker);

/* ---------------------------------------------------------------- providers */

enum dialect_spoken provider_dialect(const struct provider *provider);

enum step_kind {
    STEP_SEND,
    STEP_WAIT,
    STEP_FIN,
    STEP_RESET,
    STEP_NEXT /* the reply is complete: the next request */
};
struct step {
    enum step_kind kind;
    size_t amount; /* bytes, or milliseconds */
};

/* A connection to a provider. */
struct visit {
    struct visit *next;
    struct provider *provider;
    struct sim_peer *peer;
    uint32_t number;           /* of the connection, from 0 */
    size_t consumed;           /* of the peer's input */
    struct slice target, body; /* of the request being answered, when the script is written */
    struct slice request;      /* its head */
    char marker[64];           /* of the request, what the client said */
    bool streams;              /* it asked for a stream */
    bool answering, gone, ended;
    uint64_t gone_us;
    void *wire; /* its state */
    struct step *steps;
    size_t step_count, step_room, at;
    struct sink bytes;
    size_t sent;
};

typedef void provider_plan(struct visit *visit);

/* What stands between a provider's words and its connection; NULL: nothing does. */
struct provider_wire {
    void *(*open)(struct visit *visit);
    struct sink *(*hear)(void *wire); /* take what has come; all plain bytes so far */
    void (*say)(void *wire, struct slice bytes);
    void (*end)(void *wire); /* nothing more will be said */
    void (*free)(void *wire);
};

struct provider {
    struct provider *next;
    struct world *world;
    uint16_t port;
    enum dialect_spoken dialect;
    const struct provider_wire *wire;
    provider_plan *plan; /* writes the steps of a reply */
    void *user;
    bool deaf;  /* reads nothing, so that what is sent to it piles up */
    bool early; /* the plan is asked as soon as the connection is up, without a request */
    uint32_t connections, requests, live;
    uint64_t last_gone_us; /* when a connection last ended or was reset by the gateway */
    struct visit *visits;
};

struct provider *world_provider(struct world *world, uint16_t port);
/* world_provider_add - one more, which answers well. */
struct provider *world_provider_add(struct world *world, uint16_t port, enum dialect_spoken dialect);
/* provider_refuse - connections are refused; a plan given later is not enough: provider_serve. */
void provider_refuse(struct provider *provider);
void provider_serve(struct provider *provider, provider_plan *plan);

/* Steps. */
void say(struct visit *visit, struct slice bytes);
void say_text(struct visit *visit, const char *text);
void say_paced(struct visit *visit, struct slice bytes, size_t piece, uint64_t gap_ms);
void wait_ms(struct visit *visit, uint64_t ms);
void say_end(struct visit *visit, enum step_kind kind);

/* What a well-meaning provider says. */
/* An error event without a word before it is the first event of all. */
enum tale_end { TALE_WELL, TALE_CUT_CALL, TALE_ERROR_EVENT };
struct tale {
    enum dialect_spoken dialect;
    const char *marker;
    int words; /* each is "<marker>:<number> " and padding */
    size_t padding;
    bool whole, tool; /* one JSON object; with a tool call at the end */
    enum tale_end end;
};
/* tale_put - the body: events or an object. tale_text - the text a client must have got, of so many
 * words. */
void tale_put(const struct tale *tale, struct sink *out);
void tale_text(const struct tale *tale, struct sink *out);
/* reply_put - a head and this body, chunked (in pieces of so many bytes) or with a length. */
enum reply_framing { FRAMED_CHUNKED, FRAMED_LENGTH, FRAMED_CLOSE };
void reply_put(struct sink *out, int status, const char *type, const char *fields,
               struct slice body, enum reply_framing framing, size_t chunk);
/* Plans: a stream or object as asked, 5 words; the same slowly (a word a second). */
provider_plan plan_well, plan_slow, plan_silent, plan_reset, plan_close;
/* plan_tale - write a whole reply for the visit's request and say it at once, or paced. */
void plan_tale(struct visit *visit, struct tale tale, size_t piece, uint64_t gap_ms);
void plan_status(struct visit *visit, int status, const char *fields, const char *body);

/* ---------------------------------------------------------------- clients */

struct client {
    struct client *next;
    struct world *world;
    struct sim_peer *peer;
    enum dialect_spoken dialect;
    struct sink out; /* still to be sent, by pieces */
    size_t out_at, piece;
    uint64_t gap_ms;
    bool ended; /* the gateway sent FIN */
    bool reset; /* the gateway reset the connection, or the world did */
    bool left;  /* by our own doing */
    bool half_closed, close_when_sent, half_close_when_sent;
    bool pausing;
    uint64_t heard_ms;    /* when bytes last came */
    uint64_t leave_after; /* bytes received; 0: stay */
    bool leave_by_reset;
    void (*heard)(struct client *); /* bytes came */
    void *user;
};

struct client *client_connect(struct world *world, enum dialect_spoken dialect);
void client_say(struct client *client, struct slice bytes);
/* client_say_paced - pieces of so many bytes, so many ms apart; behind what still waits. */
void client_say_paced(struct client *client, struct slice bytes, size_t piece, uint64_t gap_ms);
/* client_say_later - the same after a while; nothing may be waiting. */
void client_say_later(struct client *client, struct slice bytes, size_t piece, uint64_t gap_ms,
                      uint64_t after_ms);
/* client_pause - do not read for this long; nothing may be waiting to be sent. */
void client_pause(struct client *client, uint64_t ms);

struct asking {
    const char *model, *marker, *fields; /* fields: further header lines, "Name: value\r\n" */
    bool stream, usage, http10, chunked, close, count_tokens, array; /* array: of Gemini's events */
    size_t padding; /* bytes of prompt */
};
void asking_put(const struct client *client, const struct asking *asking, struct sink *out);
/* client_ask - a request at once. */
void client_ask(struct client *client, struct asking asking);
void client_half_close(struct client *client);
void client_leave(struct client *client);
void client_reset(struct client *client);
void client_stop_reading(struct client *client, bool stop);
struct slice client_heard(const struct client *client);
bool client_over(const struct client *client);
/* client_answers - read the n-th reply; false when there is none. The caller fins the answer. */
bool client_answer(const struct client *client, uint32_t n, struct answer *answer);
/* client_told - read the n-th reply as a stream or an object, whatever it says it is. The caller
 * fins. */
void client_told(const struct client *client, uint32_t n, struct telling *telling);
/* whole_events - bytes of the events of a body that came whole and are numbered; the number of the last goes to id. */
size_t whole_events(struct slice body, char id[64]);
/* client_finished - n replies are complete, or the connection is over. */
bool client_finished(const struct client *client, uint32_t n);
/* client_await - let time pass until that is so; asserts when it never is. */
void client_await(struct client *client, uint32_t n, uint64_t ms);
/* client_expect - the n-th reply must be told like this, with this text (NULL: any). Prints and
 * asserts. */
void client_expect(struct client *client, uint32_t n, int status, enum told told, const char *code);
void client_expect_text(struct client *client, uint32_t n, const struct tale *tale);

#endif
