/* SPDX-License-Identifier: MIT
 *
 * test_upstream.c - the pool of upstream connections alone: leases, returns, drops, the queue and
 * its turns, what is kept and for how long. Streams are empty shells here that note which notices
 * were posted to them.
 */
#include "gateway/worker.h"
#include "reactor/sim.h"

#include "tests/unit/gateway/config_case.h"

#define PORT 9001
#define SHELLS 6

static struct sim *sim;
static struct gateway gateway;
static struct worker *worker, *workers[1];
static struct deployment *deployment;
static struct stream *shells[SHELLS];
static struct sim_peer *peers[32];
static uint32_t peer_count, peers_gone;
static struct http_body done_body;

/* ---------------------------------------------------------------- the world */

static void
on_opened(struct sim_peer *peer)
{
    peers[peer_count++] = peer;
}

static void
on_gone(struct sim_peer *peer)
{
    (void)peer;
    peers_gone++;
}

static const struct sim_script script = {on_opened, NULL, NULL, on_gone, NULL};

static void
shell_run(struct task *task)
{
    (void)task; /* notices stay where they are, to be looked at */
}

static void
pass(uint64_t ms)
{
    sim_run(sim, &worker->loop, sim_now_us(sim) + ms * 1000, NULL, NULL);
}

static int
begin(void **unused)
{
    struct sink problem;
    struct generation *generation;
    struct http_head none = {.framing = HTTP_NO_BODY};
    struct http_limits limits = {1000, 1000, 10};
    (void)unused;
    struct loaded loaded =
        load_text("model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: "
                  "'http://127.0.0.1:9001/v1', api_key: k}}]\n"
                  "penstock: {limits: {upstream_connections: 2, upstream_queue: 2, upstream_idle: "
                  "1}, timeouts: {upstream_idle: 10s}}\n",
                  NO_ENVIRONMENT);
    expect_good(&loaded);
    sink_init(&problem, 4096);
    assert_int_equal(generation_new(config_hold(loaded.config), 0, &generation, &problem), 0);
    sink_fini(&problem);
    unload(&loaded);
    sim = sim_new(1, NULL);
    worker = calloc(1, sizeof *worker);
    assert_non_null(worker);
    workers[0] = worker;
    gateway = (struct gateway){.workers = workers, .worker_count = 1};
    assert_int_equal(worker_init(worker, &gateway, 0, generation, &sim_ops, sim), 0);
    generation_drop(generation);
    deployment = &worker->generation->deployments[0];
    sim_accept_on(sim, PORT, &script, NULL, false);
    peer_count = peers_gone = 0;
    http_body_init(&done_body, &none, HTTP_FROM_UPSTREAM, UINT64_MAX, &limits);
    assert_true(http_body_done(&done_body));
    for (int i = 0; i < SHELLS; i++) {
        shells[i] = calloc(1, sizeof *shells[i]);
        assert_non_null(shells[i]);
        shells[i]->magic = MAGIC_STREAM;
        shells[i]->worker = worker;
        shells[i]->state = STATE_SEND;
        task_init(&shells[i]->task, shell_run);
        shells[i]->tries = calloc(1, sizeof *shells[i]->tries);
        assert_non_null(shells[i]->tries);
        list_init(&shells[i]->tries->waiter.link);
    }
    return 0;
}

static int
end(void **unused)
{
    (void)unused;
    worker_fini(worker);
    assert_int_equal(sim_sockets_open(sim), 0);
    sim_free(sim);
    free(worker);
    for (int i = 0; i < SHELLS; i++) {
        free(shells[i]->tries);
        free(shells[i]);
    }
    return 0;
}

static int
lease(int shell)
{
    return upstream_lease(&worker->upstreams, shells[shell], deployment, false,
                          &shells[shell]->lease);
}

static void
give_back(int shell)
{
    struct upstream *upstream = shells[shell]->lease;
    shells[shell]->lease = NULL;
    shells[shell]->notices = 0;
    upstream_return(upstream, &done_body);
}

static void
drop(int shell)
{
    struct upstream *upstream = shells[shell]->lease;
    shells[shell]->lease = NULL;
    shells[shell]->notices = 0;
    upstream_drop(upstream);
}

static bool
told(int shell, enum stream_event notice)
{
    return shells[shell]->notices >> notice & 1;
}

/* ---------------------------------------------------------------- tests */

static void
test_a_connection_is_dialled_returned_and_leased_again(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    assert_false(told(0, EVENT_UPSTREAM_UP));
    assert_int_equal(worker->upstreams.active, 1);
    pass(10);
    assert_true(told(0, EVENT_UPSTREAM_UP));
    struct upstream *upstream = shells[0]->lease;
    assert_false(upstream->reused);
    give_back(0);
    assert_int_equal(worker->upstreams.active, 0);
    assert_int_equal(worker->upstreams.idle, 1);
    assert_int_equal(lease(1), 1);
    assert_ptr_equal(shells[1]->lease, upstream);
    assert_true(upstream->reused);
    assert_int_equal(worker->upstreams.idle, 0);
    assert_int_equal(worker->upstreams.opened, 1);
    assert_int_equal(worker->upstreams.reused, 1);
    sim_peer_send(peers[0], SLICE_LIT("x")); /* its notices go to the new owner */
    pass(10);
    assert_true(told(1, EVENT_UPSTREAM_BYTES));
    assert_false(told(0, EVENT_UPSTREAM_BYTES));
    drop(1);
    pass(10);
    assert_int_equal(peers_gone, 1);
    assert_int_equal(worker->upstreams.active, 0);
}

static void
test_a_fresh_one_when_asked_for(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    pass(10);
    give_back(0);
    assert_int_equal(
        upstream_lease(&worker->upstreams, shells[1], deployment, true, &shells[1]->lease), 0);
    assert_int_equal(worker->upstreams.idle, 1);
    drop(1);
}

static void
test_a_refused_connection_is_lost(void **unused)
{
    (void)unused;
    sim_accept_on(sim, PORT, &script, NULL, true);
    assert_int_equal(lease(0), 0);
    pass(10);
    assert_true(told(0, EVENT_UPSTREAM_LOST));
    assert_false(told(0, EVENT_UPSTREAM_UP));
    assert_int_equal(shells[0]->lease->conn->error, -ERR_CONNECT);
    drop(0);
}

static void
test_the_queue_is_bounded_and_served_in_order(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    assert_int_equal(lease(1), 0);
    assert_int_equal(lease(2), 2);
    assert_int_equal(lease(3), 2);
    assert_int_equal(lease(4), -ERR_QUEUE);
    assert_int_equal(worker->upstreams.queued, 2);
    pass(10);
    assert_false(told(2, EVENT_TURN));
    give_back(0);
    assert_true(told(2, EVENT_TURN));
    assert_false(told(3, EVENT_TURN));
    assert_int_equal(lease(2), 1);
    drop(1);
    assert_true(told(3, EVENT_TURN));
    assert_int_equal(lease(3), 0);
    drop(2);
    drop(3);
}

/* A newcomer does not take the place of one that was called. */
static void
test_a_place_is_kept_for_who_was_called(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    assert_int_equal(lease(1), 0);
    assert_int_equal(lease(2), 2);
    pass(10);
    drop(0);
    assert_true(told(2, EVENT_TURN));
    assert_int_equal(lease(4), 2);
    assert_false(told(4, EVENT_TURN));
    assert_int_equal(lease(2), 0);
    drop(1);
    assert_true(told(4, EVENT_TURN));
    assert_int_equal(lease(4), 0);
    drop(2);
    drop(4);
}

static void
test_leaving_the_queue(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    assert_int_equal(lease(1), 0);
    assert_int_equal(lease(2), 2);
    assert_int_equal(lease(3), 2);
    upstream_leave_queue(&worker->upstreams, shells[2]);
    upstream_leave_queue(&worker->upstreams, shells[2]); /* harmless */
    upstream_leave_queue(&worker->upstreams, shells[5]);
    drop(0);
    assert_false(told(2, EVENT_TURN));
    assert_true(told(3, EVENT_TURN));
    upstream_leave_queue(&worker->upstreams, shells[3]);
    drop(1);
}

static void
test_a_turn_that_is_not_wanted_is_passed_on(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    assert_int_equal(lease(1), 0);
    assert_int_equal(lease(2), 2);
    assert_int_equal(lease(3), 2);
    drop(0);
    assert_true(told(2, EVENT_TURN));
    assert_false(told(3, EVENT_TURN));
    upstream_leave_queue(&worker->upstreams, shells[2]);
    assert_true(told(3, EVENT_TURN));
    assert_int_equal(lease(3), 0);
    drop(1);
    drop(3);
}

static void
test_what_is_kept_is_bounded_and_ages(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    assert_int_equal(lease(1), 0);
    pass(10);
    give_back(0);
    give_back(1); /* one may be kept */
    assert_int_equal(worker->upstreams.idle, 1);
    pass(10);
    assert_int_equal(peers_gone, 1);
    pass(9900);
    assert_int_equal(peers_gone, 1);
    pass(200);
    assert_int_equal(peers_gone, 2);
    assert_int_equal(worker->upstreams.idle, 0);
}

/* A kept connection has no business speaking, and one that ends is of no use. */
static void
test_a_kept_connection_that_stirs_is_closed(void **unused)
{
    (void)unused;
    for (int how = 0; how < 3; how++) {
        assert_int_equal(lease(0), 0);
        pass(10);
        give_back(0);
        assert_int_equal(worker->upstreams.idle, 1);
        struct sim_peer *peer = peers[peer_count - 1];
        if (how == 0)
            sim_peer_send(peer, SLICE_LIT("HTTP/1.1 408 Request Timeout\r\n\r\n"));
        else if (how == 1)
            sim_peer_close(peer);
        else
            sim_peer_reset(peer);
        pass(10);
        assert_int_equal(worker->upstreams.idle, 0);
    }
}

static conn_notify *kept_notify;
static struct task asker;
static int asked;

static void
ask_now(struct task *task)
{
    (void)task;
    asked = lease(0);
}

/* Somebody's turn comes between the notice and the look at what it is about. */
static void
ask_first(void *owner, struct conn *conn, unsigned notices)
{
    loop_post(&worker->loop, &asker);
    kept_notify(owner, conn, notices);
}

static void
test_a_kept_connection_that_has_just_spoken_is_not_leased(void **unused)
{
    (void)unused;
    assert_int_equal(lease(0), 0);
    pass(10);
    struct upstream *upstream = shells[0]->lease;
    give_back(0);
    kept_notify = upstream->conn->notify;
    task_init(&asker, ask_now);
    conn_own(upstream->conn, ask_first, upstream);
    asked = -1;
    sim_peer_send(peers[peer_count - 1], SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    pass(10);
    assert_int_equal(asked, 0); /* a new one */
    assert_int_equal(worker->upstreams.idle, 0);
    assert_int_equal(peers_gone, 1);
    assert_int_equal(shells[0]->lease->conn->in.len, 0);
    drop(0);
}

/* The rest of a reply is read away for a second; then the connection is given up. */
static void
test_settling(void **unused)
{
    struct http_head head = {.framing = HTTP_LENGTH, .length = 5};
    struct http_limits limits = {1000, 1000, 10};
    (void)unused;
    for (int how = 0; how < 4; how++) {
        struct http_body body;
        http_body_init(&body, &head, HTTP_FROM_UPSTREAM, UINT64_MAX, &limits);
        assert_int_equal(lease(0), 0);
        pass(10);
        struct upstream *upstream = shells[0]->lease;
        shells[0]->lease = NULL;
        upstream_return(upstream, &body);
        assert_int_equal(worker->upstreams.active, 0);
        assert_int_equal(worker->upstreams.idle, 0);
        struct sim_peer *peer = peers[peer_count - 1];
        uint32_t gone = peers_gone;
        sim_peer_send(peer, SLICE_LIT("abc"));
        pass(100);
        assert_int_equal(peers_gone, gone);
        if (how == 0)
            sim_peer_send(peer, SLICE_LIT("de"));
        else if (how == 1)
            sim_peer_send(peer, SLICE_LIT("def")); /* more than it had announced */
        else if (how == 2)
            sim_peer_close(peer);
        pass(100);
        assert_int_equal(worker->upstreams.idle, how == 0);
        pass(1000);
        assert_int_equal(worker->upstreams.idle, how == 0);
        if (how == 0) {
            assert_int_equal(lease(1), 1);
            drop(1);
        } else if (how != 2) {
            assert_true(peers_gone > gone);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_connection_is_dialled_returned_and_leased_again,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_a_fresh_one_when_asked_for, begin, end),
        cmocka_unit_test_setup_teardown(test_a_refused_connection_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(test_the_queue_is_bounded_and_served_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_a_place_is_kept_for_who_was_called, begin, end),
        cmocka_unit_test_setup_teardown(test_leaving_the_queue, begin, end),
        cmocka_unit_test_setup_teardown(test_a_turn_that_is_not_wanted_is_passed_on, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_kept_is_bounded_and_ages, begin, end),
        cmocka_unit_test_setup_teardown(test_a_kept_connection_that_has_just_spoken_is_not_leased, begin, end),
        cmocka_unit_test_setup_teardown(test_a_kept_connection_that_stirs_is_closed, begin, end),
        cmocka_unit_test_setup_teardown(test_settling, begin, end),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
