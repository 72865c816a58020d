/* SPDX-License-Identifier: MIT
 *
 * loadgen.h - a run of loadgen: what was asked for, the connections, and what came of it.
 */
#ifndef PENSTOCK_LOADGEN_H
#define PENSTOCK_LOADGEN_H

#include "tools/load/link.h"
#include "tools/load/timers.h"
#include "tools/loadgen/reply.h"

struct settings {
    struct net_list targets, from;
    enum dialect dialect;
    const char *model, *key, *json, *authorities, *name;
    const char *headers[8];
    uint32_t header_count;
    uint32_t streams, slow, leave, idle;
    uint64_t requests; /* 0: no bound */
    uint64_t seconds, ramp_ms, timeout_s;
    uint32_t slow_bytes, slow_ms;
    size_t body_bytes;
    bool whole, usage, fresh, tls, hold;
    bool once; /* each connection asks once */
};

/* settings_read - false when usage was shown. */
bool settings_read(struct settings *settings, int argc, char **argv) must_check;

/* A request, whose id is written anew each time; all ids have ten digits. */
struct template
{
    char *bytes;
    size_t len, id_at;
};

bool template_make(struct template *template, const struct settings *settings) must_check;
void template_id(struct template *template, uint64_t id);

enum asker_kind { ASKER_PLAIN, ASKER_SLOW, ASKER_LEAVER, ASKER_IDLE };

struct loadgen;

/* A connection and the exchange on it. */
struct asker {
    struct link link;
    struct timer timer; /* the start; for slow readers the next few bytes */
    struct loadgen *loadgen;
    struct reply reply;
    uint64_t asked_ns, heard_ms;
    uint32_t leave_after; /* texts */
    uint32_t refused;     /* connects that failed, one after the other */
    uint8_t kind;
    bool asked;  /* it asked before */
    bool asking; /* a request is out */
    bool first;  /* its first text came */
    bool ever;   /* some text or whole answer came on this connection's behalf */
    bool open;   /* a link exists */
    bool over;   /* no more requests */
};

struct loadgen {
    struct settings settings;
    struct links links;
    struct timers timers;
    struct template template;
    struct asker *askers;
    uint32_t asker_count, started, over_count, ever_count;
    uint64_t id_next, asked, answered, left, slow_cut, idle_cut, connects, idle_open;
    uint64_t random;
    uint64_t now_ns, start_ns, end_ns, checked_ns;
    bool stopping, announced;
    struct tally tally, slow_tally;
    struct histogram request, first;
};

/* asker_init - `at` of all connections. */
void asker_init(struct loadgen *loadgen, uint32_t at);
/* asker_due - its timer came. asker_check_time - is it silent for too long? */
void asker_due(struct asker *asker);
void asker_check_time(struct asker *asker);
/* asker_retire - it closes and asks no more. */
void asker_retire(struct asker *asker);
extern const struct link_calls asker_calls;

/* report_write - the result as JSON, to settings->json ("-": stdout). report_line - the counters so
 * far as one line of JSON. */
bool report_write(const struct loadgen *loadgen) must_check;
bool report_to_stdout(const struct loadgen *loadgen);
void report_line(const struct loadgen *loadgen);
/* report_wrongs - how many things were wrong. */
uint64_t report_wrongs(const struct loadgen *loadgen);

#endif
