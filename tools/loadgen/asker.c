/* SPDX-License-Identifier: MIT
 *
 * asker.c - one connection: it asks, listens, and asks again; slow readers, early leavers and idle
 * ones besides.
 */
#include "tools/load/clock.h"
#include "tools/loadgen/loadgen.h"

#include <errno.h>
#include <string.h>

#define SLOW_SOCKET_BYTES 4096
#define REFUSED_MAX 50
#define AGAIN_NS 20000000u

static struct asker *
asker_of(struct link *link)
{
    return container_of(link, struct asker, link);
}

static uint64_t
random_next(struct loadgen *loadgen)
{
    loadgen->random ^= loadgen->random << 13;
    loadgen->random ^= loadgen->random >> 7;
    loadgen->random ^= loadgen->random << 17;
    return loadgen->random;
}

static bool
may_ask(const struct asker *asker)
{
    const struct loadgen *loadgen = asker->loadgen;
    const struct settings *settings = &loadgen->settings;
    /* A target that is not there is waited for only while time is what ends the run. */
    bool waits = settings->seconds || settings->hold;
    if (loadgen->stopping || (settings->once && asker->asked) ||
        (asker->refused >= REFUSED_MAX && !waits))
        return false;
    return !settings->requests || loadgen->asked < settings->requests;
}

void
asker_retire(struct asker *asker)
{
    if (asker->over)
        return;
    asker->over = true;
    if (asker->kind == ASKER_PLAIN || asker->kind == ASKER_LEAVER)
        asker->loadgen->over_count++;
    timer_stop(&asker->timer);
    if (asker->open)
        link_close(&asker->link, false);
}

static void
connect_now(struct asker *asker)
{
    struct loadgen *loadgen = asker->loadgen;
    const struct settings *settings = &loadgen->settings;
    uint64_t n = loadgen->connects++;
    const struct sockaddr_in *to =
        &settings->targets.addresses[n % (uint64_t)settings->targets.count];
    const struct sockaddr_in *from = NULL;
    if (settings->from.count)
        from =
            &settings->from
                 .addresses[n / (uint64_t)settings->targets.count % (uint64_t)settings->from.count];
    link_init(&asker->link, &loadgen->links);
    asker->open = true;
    asker->heard_ms = loadgen->now_ns / 1000000;
    if (link_connect(&asker->link, to, from, asker->kind == ASKER_SLOW ? SLOW_SOCKET_BYTES : 0) <
        0) {
        asker->refused++;
        tally_wrong(&loadgen->tally, WRONG_CONNECT, 0, slice_from(strerror(errno)));
        link_close(&asker->link, false);
    }
}

static struct tally *
tally_of(struct asker *asker)
{
    return asker->kind == ASKER_SLOW ? &asker->loadgen->slow_tally : &asker->loadgen->tally;
}

static void
ask(struct asker *asker)
{
    struct loadgen *loadgen = asker->loadgen;
    if (!may_ask(asker)) {
        asker_retire(asker);
        return;
    }
    uint64_t id = loadgen->id_next++;
    if (asker->kind != ASKER_SLOW)
        loadgen->asked++;
    template_id(&loadgen->template, id);
    reply_begin(&asker->reply, tally_of(asker), loadgen->settings.dialect, !loadgen->settings.whole,
                id);
    asker->leave_after = 1 + (uint32_t)(random_next(loadgen) % 64);
    asker->asking = asker->asked = true;
    asker->first = false;
    asker->asked_ns = clock_now_ns();
    asker->heard_ms = asker->asked_ns / 1000000;
    link_write(&asker->link, loadgen->template.bytes, loadgen->template.len);
}

static void
slow_timer(struct asker *asker)
{
    timers_add(&asker->loadgen->timers, &asker->timer,
               asker->loadgen->now_ns + asker->loadgen->settings.slow_ms * 1000000ull);
}

static void
on_up(struct link *link)
{
    struct asker *asker = asker_of(link);
    if (asker->kind == ASKER_IDLE) {
        asker->loadgen->idle_open++;
        return;
    }
    if (asker->kind == ASKER_SLOW) {
        link_pause(link);
        slow_timer(asker);
    }
    ask(asker);
}

static void
note_first(struct asker *asker, uint64_t now_ns)
{
    if (asker->first || (!asker->reply.check.next && !reply_over(&asker->reply)))
        return;
    asker->first = true;
    if (asker->kind != ASKER_SLOW)
        histogram_record(&asker->loadgen->first, now_ns - asker->asked_ns);
    if (!asker->ever && asker->kind != ASKER_SLOW)
        asker->loadgen->ever_count++;
    asker->ever = true;
}

/* The reply is complete, or makes no sense. */
static void
finished(struct asker *asker, uint64_t now_ns)
{
    struct loadgen *loadgen = asker->loadgen;
    bool good = asker->reply.state == REPLY_DONE;
    asker->asking = false;
    asker->refused = 0;
    if (good && asker->kind != ASKER_SLOW) {
        loadgen->answered++;
        histogram_record(&loadgen->request, now_ns - asker->asked_ns);
    }
    if (!may_ask(asker))
        asker_retire(asker);
    else if (!good || !asker->reply.keep_alive || loadgen->settings.fresh)
        link_close(&asker->link, false);
    else
        ask(asker);
}

static void
on_bytes(struct link *link, struct slice bytes)
{
    struct asker *asker = asker_of(link);
    struct loadgen *loadgen = asker->loadgen;
    uint64_t now_ns = clock_now_ns();
    if (!asker->asking) {
        tally_wrong(&loadgen->tally, WRONG_FRAMING, 0, bytes);
        link_close(link, false);
        return;
    }
    asker->heard_ms = now_ns / 1000000;
    size_t used = reply_bytes(&asker->reply, bytes, now_ns);
    note_first(asker, now_ns);
    if (!reply_over(&asker->reply)) {
        if (asker->kind == ASKER_LEAVER && asker->reply.check.next >= asker->leave_after) {
            loadgen->left++;
            asker->asking = false;
            link_close(link, asker->leave_after % 2);
        }
        return;
    }
    /* Nothing may follow before we ask again. */
    if (used < bytes.len && asker->reply.state == REPLY_DONE) {
        tally_wrong(&loadgen->tally, WRONG_FRAMING, asker->reply.check.id, slice_skip(bytes, used));
        asker->reply.state = REPLY_BROKEN;
    }
    finished(asker, now_ns);
}

static void
on_end(struct link *link, int error)
{
    struct asker *asker = asker_of(link);
    struct loadgen *loadgen = asker->loadgen;
    uint64_t now_ns = clock_now_ns();
    if (!link->up) {
        asker->refused++;
        tally_wrong(&loadgen->tally, WRONG_CONNECT, 0,
                    slice_from(link->problem ? link->problem : strerror(error)));
        link_close(link, false);
        return;
    }
    if (asker->kind == ASKER_IDLE)
        loadgen->idle_cut++;
    if (!asker->asking) {
        link_close(link, false); /* between two requests anybody may close */
        return;
    }
    if (!error && reply_end(&asker->reply, now_ns)) {
        note_first(asker, now_ns);
        finished(asker, now_ns);
        return;
    }
    asker->asking = false;
    if (asker->kind == ASKER_SLOW)
        loadgen->slow_cut++;
    else
        tally_wrong(&loadgen->tally, error ? WRONG_RESET : WRONG_CUT, asker->reply.check.id,
                    slice_of(asker->reply.carry ? asker->reply.carry : "", asker->reply.carry_len));
    link_close(link, false);
}

static void
on_closed(struct link *link)
{
    struct asker *asker = asker_of(link);
    struct loadgen *loadgen = asker->loadgen;
    asker->open = false;
    if (asker->over)
        return;
    if (asker->kind == ASKER_IDLE || !may_ask(asker)) {
        asker_retire(asker);
        return;
    }
    /* At once, but after a failure not without end. */
    if (link->up)
        connect_now(asker);
    else
        timers_add(&loadgen->timers, &asker->timer, loadgen->now_ns + AGAIN_NS);
}

const struct link_calls asker_calls = {NULL, on_up, on_bytes, NULL, on_end, on_closed};

void
asker_due(struct asker *asker)
{
    struct loadgen *loadgen = asker->loadgen;
    if (!asker->open) {
        if (may_ask(asker))
            connect_now(asker);
        else
            asker_retire(asker);
        return;
    }
    if (asker->kind == ASKER_SLOW && asker->link.up && !asker->link.closing) {
        link_read(&asker->link, loadgen->settings.slow_bytes);
        if (!asker->link.closing)
            slow_timer(asker);
    }
}

void
asker_check_time(struct asker *asker)
{
    struct loadgen *loadgen = asker->loadgen;
    bool waits = asker->open && !asker->link.closing && (asker->asking || !asker->link.up);
    if (!waits || asker->kind == ASKER_SLOW || asker->kind == ASKER_IDLE)
        return;
    if (loadgen->now_ns / 1000000 < asker->heard_ms + loadgen->settings.timeout_s * 1000)
        return;
    tally_wrong(&loadgen->tally, WRONG_TIMEOUT, asker->reply.check.id,
                SLICE_LIT("silent for too long"));
    asker->asking = false;
    link_close(&asker->link, true);
}

void
asker_init(struct loadgen *loadgen, uint32_t at)
{
    struct settings *settings = &loadgen->settings;
    struct asker *asker = &loadgen->askers[at];
    uint32_t plain = settings->streams;
    asker->loadgen = loadgen;
    timer_init(&asker->timer);
    link_init(&asker->link, &loadgen->links);
    asker->kind = at < plain                                      ? ASKER_PLAIN
                  : at < plain + settings->leave                  ? ASKER_LEAVER
                  : at < plain + settings->leave + settings->slow ? ASKER_SLOW
                                                                  : ASKER_IDLE;
    uint64_t after_ns = settings->ramp_ms * 1000000u * at / loadgen->asker_count;
    timers_add(&loadgen->timers, &asker->timer, loadgen->start_ns + after_ns);
}
