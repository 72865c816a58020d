/* SPDX-License-Identifier: MIT
 *
 * test_fetch.c - penstock's own requests over the simulator: replies of every framing whole, byte by byte and cut at
 * random; redirects; limits; deadlines; connections that fail in every way; cancelling; and which addresses are public.
 */
#include "gateway/fetch.h"
#include "gateway/enclose.h"
#include "gateway/worker.h"
#include "reactor/sim.h"

#include "tests/unit/gateway/config_case.h"

#define PORT 9001
#define OTHER_PORT 9002
#define BASE "http://127.0.0.1:9001"

static struct sim *sim;
static struct gateway gateway;
static struct worker *worker, *workers[1];

/* ---------------------------------------------------------------- the server */

enum after { STAY, CLOSE, RESET };
struct answer {
    const char *target, *text;
    enum after after;
};

#define TEN_LONG "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n"
static const struct answer answers[] = {
    {"/length", TEN_LONG "0123456789", STAY},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nT: u\r\n\r\n", STAY},
    {"/close", "HTTP/1.1 200 OK\r\n\r\n0123456789", CLOSE},
    {"/early", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" TEN_LONG "0123456789", STAY},
    {"/empty", "HTTP/1.1 204 No Content\r\n\r\n", STAY},
    {"/refuses", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", STAY},
    {"/cut", TEN_LONG "01234", CLOSE},
    {"/cut-chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n", CLOSE},
    {"/cut-head", "HTTP/1.1 200 OK\r\nContent-", CLOSE},
    {"/reset", TEN_LONG "01234", RESET},
    {"/noise", "SSH-2.0-OpenSSH_9.2\r\n\r\n", STAY},
    {"/bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", STAY},
    {"/silent", "", STAY},
    {"/half", TEN_LONG "01234", STAY},
    {"/once", "HTTP/1.1 302 Found\r\nLocation: /length\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/twice", "HTTP/1.1 308 Permanent Redirect\r\nLocation: " BASE "/once\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/abroad", "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9002/back\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/back", "HTTP/1.1 301 Moved Permanently\r\nLocation: " BASE "/length\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/inside", "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.7:9001/length\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/file", "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/shorthand", "HTTP/1.1 302 Found\r\nLocation: //127.0.0.1:9002/length\r\nContent-Length: 0\r\n\r\n", STAY},
    {"/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhm", STAY},
};

enum pieces { WHOLE, BYTES, RANDOM };
static enum pieces pieces;
static char requests[8][2048];
static uint32_t request_count, opened, gone;

struct speech {
    struct slice rest;
    enum after after;
};

static void
speak(struct sim_peer *peer)
{
    struct speech *speech = sim_peer_user(peer);
    if (!speech || !sim_peer_alive(peer))
        return;
    bool last = speech->rest.len == 0;
    size_t n = pieces == WHOLE ? speech->rest.len : pieces == BYTES ? 1 : sim_random(sim) % 12 + 1;
    sim_peer_send(peer, slice_take(speech->rest, n));
    speech->rest = slice_skip(speech->rest, n);
    if (speech->rest.len > 0 || (!last && speech->after != STAY))
        sim_peer_timer(peer, 1);
    else if (speech->after == CLOSE)
        sim_peer_close(peer);
    else if (speech->after == RESET)
        sim_peer_reset(peer);
}

static void
on_bytes(struct sim_peer *peer)
{
    static struct speech speeches[64];
    static uint32_t spoken;
    struct slice in = sink_slice(sim_peer_in(peer)), line = in;
    ptrdiff_t head = text_find(in, SLICE_LIT("\r\n\r\n"));
    if (head < 0 || sim_peer_user(peer))
        return;
    if (slice_starts(in, SLICE_LIT("POST")) && text_find(in, SLICE_LIT("body!")) < 0)
        return;
    snprintf(requests[request_count++ % 8], sizeof(requests[0]), "%.*s", SLICE_ARG(in));
    text_split(&line, ' ');
    struct slice target = text_split(&line, ' ');
    struct speech *speech = &speeches[spoken++ % 64];
    *speech = (struct speech){SLICE_LIT(""), STAY};
    for (size_t i = 0; i < countof(answers); i++)
        if (slice_is(target, answers[i].target))
            *speech = (struct speech){slice_from(answers[i].text), answers[i].after};
    sim_peer_set_user(peer, speech);
    speak(peer);
}

static void
on_opened(struct sim_peer *peer)
{
    (void)peer;
    opened++;
}

static void
on_gone(struct sim_peer *peer)
{
    (void)peer;
    gone++;
}

static const struct sim_script script = {on_opened, on_bytes, NULL, on_gone, speak};

static void
pass(uint64_t ms)
{
    sim_run(sim, &worker->loop, sim_now_us(sim) + ms * 1000, NULL, NULL);
}

static void
open_world(uint64_t seed)
{
    struct sink problem;
    struct generation *generation;
    struct loaded loaded = load_text("model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: "
                                     "'http://127.0.0.1:9001/v1', api_key: k}}]\n",
                                     NO_ENVIRONMENT);
    expect_good(&loaded);
    sink_init(&problem, 4096);
    assert_int_equal(generation_new(config_hold(loaded.config), 0, &generation, &problem), 0);
    sink_fini(&problem);
    unload(&loaded);
    sim = sim_new(seed, NULL);
    worker = calloc(1, sizeof *worker);
    assert_non_null(worker);
    workers[0] = worker;
    gateway = (struct gateway){.workers = workers, .worker_count = 1};
    assert_int_equal(worker_init(worker, &gateway, 0, generation, &sim_ops, sim), 0);
    generation_drop(generation);
    sim_accept_on(sim, PORT, &script, NULL, false);
    sim_accept_on(sim, OTHER_PORT, &script, NULL, false);
    pieces = WHOLE;
    request_count = opened = gone = 0;
}

static void
close_world(void)
{
    assert_true(list_empty(&worker->fetches));
    pass(5000); /* what lingers after a close */
    assert_int_equal(sim_sockets_open(sim), 0);
    worker_fini(worker);
    assert_int_equal(sim_sockets_open(sim), 0);
    sim_free(sim);
    free(worker);
}

static int
begin(void **unused)
{
    (void)unused;
    open_world(1);
    return 0;
}

static int
end(void **unused)
{
    (void)unused;
    close_world();
    return 0;
}

/* ---------------------------------------------------------------- asking */

struct told {
    uint32_t count;
    int error, status;
    char body[256], type[64];
};

static void
done(void *user, const struct fetch_reply *reply)
{
    struct told *told = user;
    told->count++;
    told->error = reply->error;
    told->status = reply->status;
    snprintf(told->body, sizeof(told->body), "%.*s", SLICE_ARG(reply->body));
    snprintf(told->type, sizeof(told->type), "%.*s", SLICE_ARG(reply->content_type));
}

static struct fetch_request
request_of(const char *url)
{
    return (struct fetch_request){.method = "GET", .url = slice_from(url), .body = SLICE_NONE, .reply_max = 100, .timeout_ms = 2000, .redirects = 3};
}

static struct told
ask(const struct fetch_request *request)
{
    struct told told = {0};
    struct fetch *fetch;
    assert_int_equal(fetch_start(worker, request, done, &told, &fetch), 0);
    assert_int_equal(told.count, 0); /* later, never at once */
    pass(3000);
    assert_int_equal(told.count, 1);
    assert_true(list_empty(&worker->fetches));
    return told;
}

static struct told
get(const char *url)
{
    struct fetch_request request = request_of(url);
    return ask(&request);
}

/* ---------------------------------------------------------------- tests */

static void
test_whole_replies_of_every_framing(void **unused)
{
    static const struct {
        const char *url, *body;
        int status;
    } rows[] = {
        {BASE "/length", "0123456789", 200}, {BASE "/chunked", "0123456789", 200}, {BASE "/close", "0123456789", 200},
        {BASE "/early", "0123456789", 200},  {BASE "/empty", "", 204},             {BASE "/refuses", "busy", 503},
        {BASE "/once", "0123456789", 200},   {BASE "/twice", "0123456789", 200},   {BASE "/nowhere", "hm", 302},
    };
    (void)unused;
    for (int round = 0; round < 12; round++) {
        pieces = round == 0 ? WHOLE : round == 1 ? BYTES : RANDOM;
        for (size_t i = 0; i < countof(rows); i++) {
            struct told told = get(rows[i].url);
            assert_int_equal(told.error, 0);
            assert_int_equal(told.status, rows[i].status);
            assert_string_equal(told.body, rows[i].body);
        }
        assert_string_equal(get(BASE "/length").type, "text/plain");
    }
}

static void
test_what_is_sent(void **unused)
{
    (void)unused;
    struct fetch_request request = request_of(BASE "/length");
    request.method = "POST";
    request.fields = SLICE_LIT("X-One: 1\r\nX-Two: 2\r\n");
    request.body = SLICE_LIT("a body!");
    assert_int_equal(ask(&request).error, 0);
    assert_true(strncmp(requests[0], "POST /length HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n", 45) == 0);
    assert_non_null(strstr(requests[0], "X-One: 1\r\nX-Two: 2\r\n"));
    assert_non_null(strstr(requests[0], "Connection: close\r\n"));
    assert_non_null(strstr(requests[0], "Content-Length: 7\r\n\r\na body!"));
    get(BASE "/length");
    assert_null(strstr(requests[1], "Content-Length"));
}

static void
test_failures(void **unused)
{
    static const struct {
        const char *url;
        int error;
    } rows[] = {
        {BASE "/cut", -ERR_DISCONNECTED},       {BASE "/cut-chunked", -ERR_DISCONNECTED}, {BASE "/cut-head", -ERR_DISCONNECTED},
        {BASE "/reset", -ERR_RESET},            {BASE "/noise", -ERR_UPSTREAM_PROTOCOL},  {BASE "/bad-chunk", -ERR_UPSTREAM_PROTOCOL},
        {BASE "/silent", -ERR_FIRST_BYTE_TIMEOUT}, {BASE "/half", -ERR_FIRST_BYTE_TIMEOUT},
        {"http://127.0.0.1:9003/", -ERR_CONNECT},
    };
    (void)unused;
    for (int round = 0; round < 3; round++) {
        pieces = round == 0 ? WHOLE : round == 1 ? BYTES : RANDOM;
        for (size_t i = 0; i < countof(rows); i++) {
            struct told told = get(rows[i].url);
            if (told.error != rows[i].error)
                print_message("%s: %d\n", rows[i].url, told.error);
            assert_int_equal(told.error, rows[i].error);
            assert_int_equal(told.status, 0);
            assert_string_equal(told.body, "");
        }
    }
    sim_black_hole(sim, 9004);
    assert_int_equal(get("http://127.0.0.1:9004/").error, -ERR_CONNECT_TIMEOUT);
}

static void
test_the_deadline_is_for_everything(void **unused)
{
    struct fetch *fetch;
    struct told told = {0};
    (void)unused;
    struct fetch_request request = request_of(BASE "/length");
    request.timeout_ms = 40; /* the reply alone takes more than 60 */
    pieces = BYTES;
    assert_int_equal(fetch_start(worker, &request, done, &told, &fetch), 0);
    pass(39);
    assert_int_equal(told.count, 0);
    pass(5);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.error, -ERR_FIRST_BYTE_TIMEOUT);
    pass(10);
    assert_int_equal(gone, 1);
}

static void
test_the_limit_of_a_reply(void **unused)
{
    static const char *const urls[] = {BASE "/length", BASE "/chunked", BASE "/close"};
    (void)unused;
    for (size_t i = 0; i < countof(urls); i++) {
        struct fetch_request request = request_of(urls[i]);
        request.reply_max = 10;
        assert_string_equal(ask(&request).body, "0123456789");
        request.reply_max = 9;
        struct told told = ask(&request);
        assert_int_equal(told.error, -ERR_UPSTREAM_TOO_LARGE);
        assert_string_equal(told.body, "");
    }
}

static void
test_redirects_are_counted_and_looked_at(void **unused)
{
    struct fetch_request request = request_of(BASE "/twice");
    (void)unused;
    request.redirects = 2;
    assert_int_equal(ask(&request).status, 200);
    request.redirects = 1;
    assert_int_equal(ask(&request).error, -ERR_REQUEST);
    request.redirects = 0; /* then it is a reply as any other */
    assert_int_equal(ask(&request).status, 308);
    request_count = 0;
    assert_int_equal(get(BASE "/loop").error, -ERR_REQUEST);
    assert_int_equal(request_count, 4);
    assert_int_equal(get(BASE "/file").error, -ERR_REQUEST);
    assert_int_equal(get(BASE "/shorthand").error, -ERR_REQUEST);
    request = request_of(BASE "/once");
    request.method = "POST";
    request.body = SLICE_LIT("body!");
    assert_int_equal(ask(&request).error, -ERR_REQUEST); /* a body goes nowhere else */
}

/* Fields may hold a key: they stay with the host that was asked, even when a detour leads back to it. */
static void
test_fields_do_not_leave_the_host(void **unused)
{
    struct fetch_request request = request_of(BASE "/once");
    (void)unused;
    request.fields = SLICE_LIT("Authorization: Bearer secret\r\n");
    assert_int_equal(ask(&request).status, 200);
    assert_int_equal(request_count, 2);
    assert_non_null(strstr(requests[0], "Bearer secret"));
    assert_non_null(strstr(requests[1], "Bearer secret"));
    request.url = SLICE_LIT(BASE "/abroad");
    request_count = 0;
    assert_int_equal(ask(&request).status, 200);
    assert_int_equal(request_count, 3);
    assert_non_null(strstr(requests[0], "Bearer secret"));
    assert_null(strstr(requests[1], "Bearer secret"));
    assert_null(strstr(requests[2], "Bearer secret"));
    assert_non_null(strstr(requests[1], "Host: 127.0.0.1:9002\r\n"));
}

static void
test_only_public_addresses_when_told_so(void **unused)
{
    struct fetch_request request = request_of(BASE "/length");
    (void)unused;
    request.public_only = true;
    assert_int_equal(ask(&request).error, -ERR_REQUEST);
    assert_int_equal(request_count, 0); /* nothing was said to it */
    assert_int_equal(opened, 0);        /* and it was not even connected to: what is open in here is nobody's business */
    request.url = SLICE_LIT("http://127.0.0.1:9003/length"); /* nobody listens there, and nobody learns that */
    assert_int_equal(ask(&request).error, -ERR_REQUEST);
    request.url = SLICE_LIT("http://93.184.216.34:9001/length");
    assert_int_equal(ask(&request).status, 200);
    request.url = SLICE_LIT("http://93.184.216.34:9001/inside");
    request_count = 0;
    opened = 0;
    assert_int_equal(ask(&request).error, -ERR_REQUEST);
    assert_int_equal(request_count, 1);
    assert_int_equal(opened, 1);
    request.url = SLICE_LIT("http://93.184.216.34:9001/abroad");
    assert_int_equal(ask(&request).error, -ERR_REQUEST);
}

static void
test_what_cannot_begin(void **unused)
{
    static const char *const urls[] = {"", "ftp://127.0.0.1/", "http://", "https://user@host/", "/length"};
    struct told told = {0};
    struct fetch *fetch;
    (void)unused;
    for (size_t i = 0; i < countof(urls); i++) {
        struct fetch_request request = request_of(urls[i]);
        assert_int_equal(fetch_start(worker, &request, done, &told, &fetch), -ERR_REQUEST);
    }
    struct fetch_request request = request_of(BASE "/length");
    request.https_only = true;
    assert_int_equal(fetch_start(worker, &request, done, &told, &fetch), -ERR_REQUEST);
    request = request_of("https://127.0.0.1:9001/"); /* and nobody to trust */
    assert_int_equal(fetch_start(worker, &request, done, &told, &fetch), -ERR_TLS);
    pass(100);
    assert_int_equal(told.count, 0);
}

static void
test_cancelling(void **unused)
{
    struct fetch *fetch[3];
    struct told told[3] = {{0}};
    struct fetch_request request = request_of(BASE "/half");
    (void)unused;
    for (uint64_t wait_ms = 0; wait_ms < 12; wait_ms += 5) { /* before it is up, and with half a reply */
        assert_int_equal(fetch_start(worker, &request, done, &told[0], &fetch[0]), 0);
        pass(wait_ms);
        fetch_cancel(fetch[0]);
        pass(3000);
        assert_int_equal(told[0].count, 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(fetch_start(worker, &request, done, &told[i], &fetch[i]), 0);
    pass(10);
    fetch_cancel(fetch[1]);
    fetch_cancel_all(worker);
    assert_int_equal(told[0].count, 1);
    assert_int_equal(told[0].error, -ERR_DRAINING);
    assert_int_equal(told[1].count, 0);
    assert_int_equal(told[2].count, 1);
    pass(3000);
    assert_int_equal(told[0].count + told[2].count, 2);
}

/* In any weather each is told once, and what it is told is either all of the reply or an error. */
static void
test_any_weather(void **unused)
{
    static const char *const urls[] = {BASE "/length", BASE "/chunked", BASE "/early", BASE "/twice", BASE "/cut", BASE "/abroad", BASE "/reset"};
    static const struct sim_faults faults[] = {
        {.short_read = 300, .short_write = 300, .again = 200, .late_event = 200},
        {.reset = 60, .connect_refused = 200, .connect_slow = 200, .short_read = 300},
        {.memory = 200, .short_read = 300, .late_event = 300, .window = 16},
    };
    uint32_t good = 0, bad = 0;
    (void)unused;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        struct told told[countof(urls)];
        struct fetch *fetch;
        memset(told, 0, sizeof(told));
        open_world(seed);
        pieces = seed % 2 ? RANDOM : WHOLE;
        sim_set_faults(sim, &faults[seed % countof(faults)]);
        for (size_t i = 0; i < countof(urls); i++) {
            struct fetch_request request = request_of(urls[i]);
            assert_int_equal(fetch_start(worker, &request, done, &told[i], &fetch), 0);
            if (sim_random(sim) % 8 == 0) {
                pass(sim_random(sim) % 10);
                if (told[i].count == 0)
                    fetch_cancel(fetch);
                told[i].count = 1;
                told[i].error = -ERR_DRAINING;
            }
        }
        pass(4000);
        for (size_t i = 0; i < countof(urls); i++) {
            assert_int_equal(told[i].count, 1);
            if (told[i].error == 0)
                assert_string_equal(told[i].body, "0123456789");
            good += told[i].error == 0;
            bad += told[i].error < 0;
        }
        sim_set_faults(sim, NULL);
        close_world();
    }
    assert_true(good > 200);
    assert_true(bad > 200);
}

static void
test_urls(void **unused)
{
    static const struct {
        const char *text, *host, *authority, *target;
        uint16_t port;
        bool tls;
    } good[] = {
        {"http://a", "a", "a", "/", 80, false},
        {"HTTPS://A.example/x?y=z", "A.example", "A.example", "/x?y=z", 443, true},
        {"https://a:8443/", "a", "a:8443", "/", 8443, true},
        {"http://[::1]/p", "::1", "[::1]", "/p", 80, false},
        {"http://[2001:db8::1]:81/p", "2001:db8::1", "[2001:db8::1]:81", "/p", 81, false},
        {"http://1.2.3.4:65535", "1.2.3.4", "1.2.3.4:65535", "/", 65535, false},
    };
    static const char *const bad[] = {
        "", "http:/", "http:///x", "ftp://a/", "//a/", "http://a b/", "http://a/\r\nX: y", "http://a/#f", "http://u@a/", "http://u:p@a/",
        "http://a:0/", "http://a:65536/", "http://a:x/", "http://a:/", "http://:80/", "http://[::1/", "http://[::1]x/", "http://[]/", "http://a?q",
        "http://a\\b/", "http://a/\x7f", "http://a/\xc3\xa4", "http://a/<", "javascript:alert(1)",
    };
    struct fetch_url url;
    char long_one[8300];
    (void)unused;
    for (size_t i = 0; i < countof(good); i++) {
        assert_true(fetch_read_url(slice_from(good[i].text), &url));
        expect_slice(url.host, good[i].host);
        expect_slice(url.authority, good[i].authority);
        expect_slice(url.target, good[i].target);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.tls, good[i].tls);
    }
    for (size_t i = 0; i < countof(bad); i++)
        if (fetch_read_url(slice_from(bad[i]), &url))
            fail_msg("%s was taken for a URL", bad[i]);
    memset(long_one, 'a', sizeof(long_one));
    memcpy(long_one, "http://a/", 9);
    assert_true(fetch_read_url(slice_of(long_one, 8192), &url));
    assert_false(fetch_read_url(slice_of(long_one, 8193), &url));
    memcpy(long_one, "http://aa", 9);
    assert_false(fetch_read_url(slice_of(long_one, 400), &url)); /* a host of that length */
}

static void
test_public_addresses(void **unused)
{
    static const char *const open[] = {
        "1.2.3.4:80", "9.255.255.255:1", "11.0.0.0:1", "100.63.255.255:1", "100.128.0.0:1", "172.15.0.1:1", "172.32.0.1:1", "192.167.0.1:1",
        "192.169.0.1:1", "198.17.0.1:1", "198.20.0.1:1", "223.255.255.255:1", "8.8.8.8", "[2606:4700::1111]:443", "[2001:4860:4860::8888]:53",
        "[::ffff:8.8.8.8]:1", "[64:ff9b::808:808]:1", "[2002:808:808::1]:1",
    };
    static const char *const closed[] = {
        "", "x", "a.example:80", "0.0.0.0:1", "0.1.2.3:1", "10.0.0.1:1", "10.255.255.255:1", "100.64.0.1:1", "100.127.255.255:1", "127.0.0.1:80",
        "127.255.0.1:1", "169.254.169.254:80", "172.16.0.1:1", "172.31.255.255:1", "192.0.0.1:1", "192.0.2.1:1", "192.88.99.1:1", "192.168.1.1:1",
        "198.18.0.1:1", "198.19.255.255:1", "198.51.100.7:1", "203.0.113.9:1", "224.0.0.1:1", "239.1.1.1:1", "240.0.0.1:1", "255.255.255.255:1",
        "[::]:1", "[::1]:80", "[::ffff:127.0.0.1]:1", "[::ffff:a00:1]:1", "[64:ff9b::7f00:1]:1", "[2002:7f00:1::]:1", "[2002:a9fe:a9fe::1]:1",
        "[fe80::1]:1", "[fe80::1%eth0]:1", "[fc00::1]:1", "[fd12:3456::1]:1", "[ff02::1]:1", "[2001:db8::1]:1", "[2001::1]:1", "[::7f00:1]:1", "[100::1]:1",
        "[::1", "0x7f.1:80", "127.1:80", "2130706433:80", "unix:",
    };
    (void)unused;
    for (size_t i = 0; i < countof(open); i++)
        if (!fetch_is_public(slice_from(open[i])))
            fail_msg("%s is public", open[i]);
    for (size_t i = 0; i < countof(closed); i++)
        if (fetch_is_public(slice_from(closed[i])))
            fail_msg("%s is not public", closed[i]);
}

static void
test_first_bytes_say_what_it_is(void **unused)
{
    static const struct {
        struct slice bytes;
        const char *type;
    } rows[] = {
        {SLICE_LIT("\x89PNG\r\n\x1a\n"), "image/png"}, {SLICE_LIT("\xff\xd8\xff\xe0"), "image/jpeg"}, {SLICE_LIT("GIF87a"), "image/gif"},
        {SLICE_LIT("GIF89a;"), "image/gif"}, {SLICE_LIT("RIFF\1\2\3\4WEBPVP8 "), "image/webp"}, {SLICE_LIT("%PDF-1.7"), "application/pdf"},
        {SLICE_LIT("\0\0\0\x18" "ftypheic"), "image/heic"}, {SLICE_LIT("\0\0\0\x18" "ftypmif1"), "image/heif"},
        {SLICE_LIT(""), NULL}, {SLICE_LIT("\x89PNG\r\n\x1a"), NULL}, {SLICE_LIT("RIFF\1\2\3\4WAVEfmt "), NULL}, {SLICE_LIT("\1\2\3\4\1\2\3\4WEBP"), NULL},
        {SLICE_LIT(" %PDF-1.7"), NULL}, {SLICE_LIT("<svg/>"), NULL}, {SLICE_LIT("\0\0\0\x18" "ftypisom"), NULL},
    };
    (void)unused;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *type = enclose_type(rows[i].bytes);
        assert_int_equal(type != NULL, rows[i].type != NULL);
        if (type)
            assert_string_equal(type, rows[i].type);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_replies_of_every_framing, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_sent, begin, end),
        cmocka_unit_test_setup_teardown(test_failures, begin, end),
        cmocka_unit_test_setup_teardown(test_the_deadline_is_for_everything, begin, end),
        cmocka_unit_test_setup_teardown(test_the_limit_of_a_reply, begin, end),
        cmocka_unit_test_setup_teardown(test_redirects_are_counted_and_looked_at, begin, end),
        cmocka_unit_test_setup_teardown(test_fields_do_not_leave_the_host, begin, end),
        cmocka_unit_test_setup_teardown(test_only_public_addresses_when_told_so, begin, end),
        cmocka_unit_test_setup_teardown(test_what_cannot_begin, begin, end),
        cmocka_unit_test_setup_teardown(test_cancelling, begin, end),
        cmocka_unit_test(test_any_weather),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_first_bytes_say_what_it_is),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
