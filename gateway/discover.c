/* SPDX-License-Identifier: MIT
 *
 * discover.c - "penstock discover": every deployment is asked for next to nothing; see discover.h.
 *
 * Where tokens can be counted that is asked for, since it costs nothing; else, and where counting says nothing, one token of a reply.
 */
#include "gateway/discover.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/credential.h"
#include "gateway/fetch.h"
#include "gateway/worker.h"
#include "reactor/backend.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define AT_ONCE 8u        /* dozens of regions are done within seconds, and no provider's rate limit is in sight */
#define PROBE_MS 20000u   /* a model that thinks before its one token has answered by then */
#define REPLY_BYTES_MAX (1u << 20)
#define TURN_MS 50u
#define OUTPUT_BYTES_MAX (64u << 20)

enum probe_state { PROBE_WAITING, PROBE_FLYING, PROBE_DONE };

struct probe {
    struct discovery *discovery;
    struct deployment *deployment;
    struct discover_finding *finding;
    enum probe_state state;
    bool counts;       /* tokens are asked to be counted */
    uint64_t begun_ms; /* 0: not yet */
    int error;         /* why no reply came */
};

struct discovery {
    struct worker *worker;
    struct generation *generation;
    struct probe *probes;
    struct discover_finding *findings; /* one for each deployment */
    uint32_t count, flying, done;
};

/* ---------------------------------------------------------------- asking */

/* A pattern is no model, the demo is always there, and what does not chat can not be asked like this. */
static bool
is_asked(const struct config_deployment *config)
{
    bool chats = config->mode.len == 0 || slice_is(config->mode, "chat") || slice_is(config->mode, "responses") || slice_is(config->mode, "completion");
    return chats && !slice_is(config->provider, "demo") && config->model.len > 0 && !memchr(config->model.ptr, '*', config->model.len);
}

/* The question as OpenAI's Chat says it, and from there as the upstream's dialect does. */
static int
put_question(const struct probe *probe, const struct dialect_upstream *upstream, struct arena *arena, struct sink *out)
{
    const struct dialect *dialect = probe->deployment->dialect;
    struct canon_request request = {.from = DIALECT_OPENAI_CHAT, .arena = arena};
    struct canon_report report = {0};
    struct canon_fault fault = {0};
    request.body = SLICE_LIT("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":1}");
    int error = json_parse(request.body, 8, 64, arena, &request.root);
    if (error == 0)
        error = openai_chat_dialect.outline(&request, &fault);
    if (error == 0)
        error = openai_chat_dialect.read_request(&request, &fault);
    if (error < 0)
        return error;
    if (probe->counts)
        return dialect->write_count(&request, upstream, out, &report, &fault);
    return dialect->id == DIALECT_OPENAI_CHAT ? dialect->pass_request(&request, upstream, out)
                                              : dialect->write_request(&request, upstream, out, &report, &fault);
}

static void
put_url(const struct probe *probe, const struct dialect_upstream *upstream, struct sink *out)
{
    const struct deployment *deployment = probe->deployment;
    sink_printf(out, "%s://%.*s", deployment->config->tls ? "https" : "http", SLICE_ARG(deployment->config->host_header));
    if (probe->counts)
        deployment->dialect->put_count_target(out, upstream);
    else
        deployment->dialect->put_target(out, upstream, deployment->dialect->id != DIALECT_OPENAI_CHAT);
}

static void
put_fields(const struct probe *probe, const struct dialect_upstream *upstream, struct arena *arena, struct sink *out)
{
    const struct config_deployment *config = probe->deployment->config;
    struct dialect_field fields[4];
    int count = probe->deployment->dialect->fields(upstream, arena, fields);
    http_put_field(out, "Content-Type", SLICE_LIT("application/json"));
    http_put_field(out, "Accept", SLICE_LIT("text/event-stream, application/json"));
    for (int i = 0; i < count; i++)
        http_put_field(out, fields[i].name, fields[i].value);
    for (uint32_t i = 0; i < config->header_count; i++)
        sink_printf(out, "%.*s: %.*s\r\n", SLICE_ARG(config->headers[2 * i]), SLICE_ARG(config->headers[2 * i + 1]));
}

static fetch_done answered;

/* The exchange begins. upstream has its key already. */
static int
fly(struct probe *probe, const struct dialect_upstream *upstream, struct arena *arena)
{
    struct sink url, head, body;
    struct fetch *fetch;
    sink_init(&url, 8192);
    sink_init(&head, 65536);
    sink_init(&body, 65536);
    int error = put_question(probe, upstream, arena, &body);
    put_url(probe, upstream, &url);
    put_fields(probe, upstream, arena, &head);
    struct fetch_request request = {
        .method = "POST", .url = sink_slice(&url), .fields = sink_slice(&head), .body = sink_slice(&body), .reply_max = REPLY_BYTES_MAX,
        .timeout_ms = PROBE_MS, .target = &probe->deployment->target,
    };
    if (error == 0 && (url.error || head.error || body.error))
        error = -ERR_MEMORY;
    if (error == 0)
        error = fetch_start(probe->discovery->worker, &request, answered, probe, &fetch);
    if (head.len > 0)
        explicit_bzero(head.ptr, head.len);
    sink_fini(&url);
    sink_fini(&head);
    sink_fini(&body);
    return error;
}

static void
settle(struct probe *probe, enum discover_verdict verdict, int status, int error)
{
    struct discovery *discovery = probe->discovery;
    uint64_t took_ms = probe->begun_ms ? discovery->worker->loop.now_ms - probe->begun_ms : 0;
    *probe->finding = (struct discover_finding){.verdict = verdict, .status = status, .took_ms = (uint32_t)took_ms};
    probe->error = error;
    probe->state = PROBE_DONE;
    discovery->done++;
}

/* It flies, waits for an access token, or has failed. */
static void
begin(struct probe *probe)
{
    struct discovery *discovery = probe->discovery;
    struct dialect_upstream upstream = probe->deployment->upstream;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    upstream.model = probe->deployment->config->model;
    int got = probe->deployment->credential ? credential_now(probe->deployment->credential, discovery->worker, &arena, &upstream.api_key) : 1;
    if (got == 1) {
        if (probe->begun_ms == 0)
            probe->begun_ms = discovery->worker->loop.now_ms;
        got = fly(probe, &upstream, &arena);
        probe->state = got < 0 ? PROBE_WAITING : PROBE_FLYING;
        discovery->flying += got < 0 ? 0 : 1;
    }
    if (got < 0)
        settle(probe, DISCOVER_FAILED, 0, got);
    arena_fini(&arena);
}

/* ---------------------------------------------------------------- judging */

static enum discover_verdict
judge_error(const struct dialect *dialect, const struct fetch_reply *reply, struct arena *arena)
{
    struct canon_error error = {0};
    switch (reply->status) {
    case 401:
    case 403:
        return DISCOVER_NO_ACCESS;
    case 404:
        return DISCOVER_NOT_THERE;
    case 429:
    case 503:
    case 529:
        return DISCOVER_BUSY;
    default:
        break;
    }
    if (text_find_caseless(reply->body, SLICE_LIT("output limit was reached")) >= 0)
        return DISCOVER_ANSWERS; /* OpenAI's models that think refuse so when one token was not enough */
    dialect->read_error(reply->status, reply->body, arena, &error); /* some say with 400 what others say with 401 or 404 */
    if (error.kind == KIND_AUTH || error.kind == KIND_PERMISSION)
        return DISCOVER_NO_ACCESS;
    return error.kind == KIND_NOT_FOUND ? DISCOVER_NOT_THERE : DISCOVER_FAILED;
}

static enum discover_verdict
judge(const struct probe *probe, const struct fetch_reply *reply)
{
    const struct dialect *dialect = probe->deployment->dialect;
    enum discover_verdict verdict = DISCOVER_FAILED;
    struct arena arena;
    uint64_t tokens;
    arena_init(&arena, 64u << 20);
    if (reply->status >= 400)
        verdict = judge_error(dialect, reply, &arena);
    else if (reply->status == 200 && probe->counts)
        verdict = dialect->read_count(reply->body, &arena, &tokens) == 0 ? DISCOVER_ANSWERS : DISCOVER_FAILED;
    else if (reply->status == 200) /* a web page is no answer */
        verdict = text_find_caseless(reply->content_type, SLICE_LIT("event-stream")) >= 0 || text_find_caseless(reply->content_type, SLICE_LIT("json")) >= 0
                      ? DISCOVER_ANSWERS
                      : DISCOVER_FAILED;
    arena_fini(&arena);
    return verdict;
}

static void
answered(void *user, const struct fetch_reply *reply)
{
    struct probe *probe = user;
    enum discover_verdict verdict = reply->error < 0 ? DISCOVER_FAILED : judge(probe, reply);
    probe->discovery->flying--;
    if (probe->counts && reply->error == 0 && (verdict == DISCOVER_NOT_THERE || verdict == DISCOVER_FAILED)) {
        probe->counts = false; /* many that answer can not count */
        probe->state = PROBE_WAITING;
        return;
    }
    settle(probe, verdict, reply->error < 0 ? 0 : reply->status, reply->error);
}

/* ---------------------------------------------------------------- the command */

static void
ask_all(struct discovery *discovery)
{
    while (discovery->done < discovery->count) {
        for (uint32_t i = 0; i < discovery->count && discovery->flying < AT_ONCE; i++) {
            if (discovery->probes[i].state == PROBE_WAITING)
                begin(&discovery->probes[i]);
        }
        if (discovery->done < discovery->count)
            worker_turn(discovery->worker, TURN_MS);
    }
}

static void
put_table(const struct discovery *discovery, struct sink *out)
{
    sink_printf(out, "%-28s %-20s %-36s %-10s %6s %8s\n", "MODEL", "REGION", "UPSTREAM", "VERDICT", "STATUS", "TIME");
    for (uint32_t i = 0; i < discovery->count; i++) {
        const struct probe *probe = &discovery->probes[i];
        const struct config_deployment *config = probe->deployment->config;
        sink_printf(out, "%-28.*s %-20.*s %-36.*s %-10s ", SLICE_ARG(config->model_name),
                    SLICE_ARG(config->location.len > 0 ? config->location : SLICE_LIT("-")), SLICE_ARG(config->id), discover_word(probe->finding->verdict));
        if (probe->finding->status > 0)
            sink_printf(out, "%6d ", probe->finding->status);
        else
            sink_printf(out, "%6s ", "-");
        sink_printf(out, "%5u ms%s%s\n", (unsigned)probe->finding->took_ms, probe->error < 0 ? "  " : "", probe->error < 0 ? err_row(probe->error)->text : "");
    }
}

/* Does every model that was asked for answer somewhere? */
static bool
all_answer(const struct discovery *discovery)
{
    for (uint32_t i = 0; i < discovery->count; i++) {
        struct slice name = discovery->probes[i].deployment->config->model_name;
        bool answers = false;
        for (uint32_t k = 0; k < discovery->count && !answers; k++)
            answers = discovery->probes[k].finding->verdict == DISCOVER_ANSWERS && slice_eq(discovery->probes[k].deployment->config->model_name, name);
        if (!answers)
            return false;
    }
    return true;
}

static int
report(const struct discovery *discovery, bool json)
{
    struct slice path = discovery->generation->config->discovery_file;
    struct sink table, file;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    sink_init(&table, OUTPUT_BYTES_MAX);
    sink_init(&file, OUTPUT_BYTES_MAX);
    put_table(discovery, &table);
    discover_put(&file, discovery->generation, discovery->findings, (uint64_t)now.tv_sec);
    struct slice out = sink_slice(json ? &file : &table);
    bool good = !table.error && !file.error && fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    if (good && path.len > 0 && discover_write(path, sink_slice(&file)) < 0) {
        fprintf(stderr, "penstock discover: cannot write %.*s\n", SLICE_ARG(path));
        good = false;
    }
    sink_fini(&table);
    sink_fini(&file);
    return good && all_answer(discovery) ? 0 : 1;
}

static int
run(struct generation *generation, struct worker *worker, bool json)
{
    struct discovery discovery = {.worker = worker, .generation = generation};
    size_t most = generation->count ? generation->count : 1;
    discovery.probes = calloc(most, sizeof *discovery.probes);
    discovery.findings = calloc(most, sizeof *discovery.findings);
    int status = 1;
    for (uint32_t i = 0; discovery.probes && discovery.findings && i < generation->count; i++) {
        struct deployment *deployment = &generation->deployments[i];
        if (!is_asked(deployment->config))
            continue;
        discovery.probes[discovery.count++] = (struct probe){
            .discovery = &discovery, .deployment = deployment, .finding = &discovery.findings[i],
            .counts = deployment->dialect->can_count && deployment->dialect->can_count(&deployment->upstream),
        };
    }
    if (discovery.probes && discovery.findings) {
        if (discovery.count < generation->count)
            fprintf(stderr, "not asked: %u, which are patterns, of the demo, or do not chat\n", generation->count - discovery.count);
        ask_all(&discovery);
        status = report(&discovery, json);
    }
    free(discovery.probes);
    free(discovery.findings);
    return status;
}

int
discover_main(const struct cli *cli, char *const *variables)
{
    struct config *config;
    struct generation *generation = NULL;
    struct gateway gateway = {0};
    struct sink problem;
    int status = 1;
    if (cli_load(&cli->flags, variables, true, &config) < 0)
        return 1;
    log_set_level(LOG_WARN);
    signal(SIGPIPE, SIG_IGN);
    sink_init(&problem, 4096);
    int error = generation_new(config, 0, &generation, &problem);
    struct worker *worker = error == 0 ? calloc(1, sizeof *worker) : NULL;
    /* Not the first worker: that one has duties besides. */
    if (worker && (error = worker_init(worker, &gateway, 1, generation, &epoll_ops, NULL)) == 0) {
        status = run(generation, worker, cli->json);
        for (int i = 0; i < 100 && worker->loop.conns > 0; i++)
            worker_turn(worker, 10);
        worker_fini(worker);
    }
    if (error < 0)
        fprintf(stderr, "penstock discover: %.*s\n", SLICE_ARG(problem.len > 0 ? sink_slice(&problem) : slice_from(err_row(error)->text)));
    free(worker);
    if (generation)
        generation_drop(generation);
    sink_fini(&problem);
    return status;
}
