/* SPDX-License-Identifier: MIT
 *
 * test_discover.c - what was discovered: written, read, believed for a while, and never more than a matter of order.
 */
#include "gateway/discover.h"
#include "gateway/route.h"

#include "tests/unit/gateway/generation_case.h"

#include <time.h>

#define ENTRY(name, model, more)                                                                   \
    "  - {model_name: '" name "', litellm_params: {model: '" model                                 \
    "', api_base: 'http://127.0.0.1:1/v1', api_key: k" more "}}\n"
#define REGIONS "model_list:\n" ENTRY("m", "openai/a", ", order: 1") ENTRY("m", "openai/b", ", order: 2") ENTRY("m", "openai/c", ", order: 3")
#define NOW_S UINT64_C(2000000000)
#define NOW_MS UINT64_C(5000)
#define TTL_S (24u * 3600)


static struct discover_finding
found(enum discover_verdict verdict)
{
    return (struct discover_finding){.verdict = verdict, .status = 200, .took_ms = 7};
}

/* The file of these three verdicts, as it is written, taken at a time. */
static int
take(enum discover_verdict a, enum discover_verdict b, enum discover_verdict c, uint64_t unix_s)
{
    struct discover_finding findings[3] = {found(a), found(b), found(c)};
    struct sink text;
    sink_init(&text, 65536);
    discover_put(&text, generation, findings, NOW_S);
    assert_int_equal(text.error, 0);
    int taken = discover_take(generation, sink_slice(&text), unix_s, NOW_MS);
    sink_fini(&text);
    return taken;
}

/* The order in which upstreams are asked when each of them fails. */
static const char *
walk(uint64_t now_ms)
{
    static char names[8];
    struct route route;
    struct slice near;
    struct canon_error failed = canon_error_of(ERR_UPSTREAM_STATUS);
    int error;
    failed.status = 500;
    failed.kind = KIND_UPSTREAM;
    memset(names, 0, sizeof names);
    assert_int_equal(route_begin(&route, generation, SLICE_LIT("m"), &near), 0);
    for (int i = 0; i < 3; i++) {
        struct deployment *deployment = route_next(&route, i ? &failed : NULL, now_ms, 0, &error);
        assert_non_null(deployment);
        names[i] = deployment->config->model.ptr[0];
    }
    return names;
}

static void
doubted_ones_come_last_and_come_all_the_same(void **state)
{
    (void)state;
    begin(REGIONS);
    assert_string_equal(walk(NOW_MS), "abc");
    assert_int_equal(take(DISCOVER_NOT_THERE, DISCOVER_ANSWERS, DISCOVER_ANSWERS, NOW_S), 1);
    assert_string_equal(walk(NOW_MS), "bca");
    assert_int_equal(take(DISCOVER_NO_ACCESS, DISCOVER_NOT_THERE, DISCOVER_ANSWERS, NOW_S), 1);
    assert_string_equal(walk(NOW_MS), "cab");
    assert_int_equal(take(DISCOVER_NO_ACCESS, DISCOVER_NOT_THERE, DISCOVER_NOT_THERE, NOW_S), 1);
    assert_string_equal(walk(NOW_MS), "abc");
    assert_int_equal(take(DISCOVER_BUSY, DISCOVER_FAILED, DISCOVER_UNKNOWN, NOW_S), 1); /* they say nothing of the model */
    assert_string_equal(walk(NOW_MS), "abc");
    end();
}

static void
a_file_is_believed_for_a_while(void **state)
{
    (void)state;
    begin(REGIONS);
    assert_int_equal(take(DISCOVER_NOT_THERE, DISCOVER_ANSWERS, DISCOVER_ANSWERS, NOW_S + TTL_S), 0);
    assert_string_equal(walk(NOW_MS), "abc");
    assert_int_equal(take(DISCOVER_NOT_THERE, DISCOVER_ANSWERS, DISCOVER_ANSWERS, NOW_S + TTL_S - 10), 1);
    assert_string_equal(walk(NOW_MS + 9999), "bca");
    assert_string_equal(walk(NOW_MS + 10000), "abc"); /* while it runs, too */
    assert_int_equal(take(DISCOVER_NOT_THERE, DISCOVER_ANSWERS, DISCOVER_ANSWERS, NOW_S - 60), 1); /* clocks differ a little */
    assert_string_equal(walk(NOW_MS), "bca");
    assert_int_equal(take(DISCOVER_ANSWERS, DISCOVER_ANSWERS, DISCOVER_ANSWERS, NOW_S - 3600), -ERR_JSON);
    assert_string_equal(walk(NOW_MS), "bca");
    end();
}

static void
what_is_no_such_file_changes_nothing(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "7", "null", "\"text\"", "{}", "{\"discovered_unix_s\":2000000000}", "{\"deployments\":[]}",
        "{\"discovered_unix_s\":-1,\"deployments\":[]}", "{\"discovered_unix_s\":\"2000000000\",\"deployments\":[]}",
        "{\"discovered_unix_s\":2000000000,\"deployments\":{}}", "{\"discovered_unix_s\":99999999999999999999,\"deployments\":[]}",
        "{\"discovered_unix_s\":2000000000,\"deployments\":[}",
    };
    static const char *const strange[] = {"7", "null", "{}", "{\"verdict\":\"not there\"}", "{\"verdict\":7,\"model_name\":\"m\"}"};
    (void)state;
    begin(REGIONS);
    assert_int_equal(take(DISCOVER_NOT_THERE, DISCOVER_ANSWERS, DISCOVER_ANSWERS, NOW_S), 1);
    for (size_t i = 0; i < countof(texts); i++) {
        assert_int_equal(discover_take(generation, slice_from(texts[i]), NOW_S, NOW_MS), -ERR_JSON);
        assert_string_equal(walk(NOW_MS), "bca");
    }
    for (size_t i = 0; i < countof(strange); i++) { /* rows of nobody here */
        char text[256];
        snprintf(text, sizeof text, "{\"discovered_unix_s\":%llu,\"deployments\":[%s]}", (unsigned long long)NOW_S, strange[i]);
        assert_int_equal(discover_take(generation, slice_from(text), NOW_S, NOW_MS), 1);
        assert_string_equal(walk(NOW_MS), "abc");
    }
    end();
}

static void
entries_are_known_by_what_they_are(void **state)
{
    struct discover_finding findings[3] = {found(DISCOVER_NOT_THERE), found(DISCOVER_ANSWERS), found(DISCOVER_ANSWERS)};
    struct sink text;
    (void)state;
    sink_init(&text, 65536);
    begin(REGIONS);
    discover_put(&text, generation, findings, NOW_S);
    end();
    begin("model_list:\n" ENTRY("m", "openai/c", ", order: 3") ENTRY("m", "openai/b", ", order: 2") ENTRY("m", "openai/a", ", order: 1"));
    assert_int_equal(discover_take(generation, sink_slice(&text), NOW_S, NOW_MS), 1);
    assert_string_equal(walk(NOW_MS), "bca"); /* moved */
    end();
    begin("model_list:\n  - {model_name: m, litellm_params: {model: openai/a, api_base: 'http://127.0.0.1:2/v1', api_key: k, order: 1}}\n" ENTRY(
        "m", "openai/b", ", order: 2") ENTRY("m", "openai/c", ", order: 3"));
    assert_int_equal(discover_take(generation, sink_slice(&text), NOW_S, NOW_MS), 1);
    assert_string_equal(walk(NOW_MS), "abc"); /* another address is another upstream */
    end();
    begin("model_list:\n" ENTRY("m", "openai/a", ", order: 1") ENTRY("m", "openai/a", ", order: 2") ENTRY("m", "openai/b", ", order: 3"));
    sink_reset(&text, 65536);
    discover_put(&text, generation, findings, NOW_S); /* one key of two is refused */
    assert_int_equal(discover_take(generation, sink_slice(&text), NOW_S, NOW_MS), 1);
    assert_string_equal(walk(NOW_MS), "aba");
    end();
    sink_fini(&text);
}

static void
files_are_written_whole_and_for_their_owner(void **state)
{
    struct discover_finding findings[3] = {found(DISCOVER_NOT_THERE), found(DISCOVER_ANSWERS), found(DISCOVER_ANSWERS)};
    struct discover_seen seen = {0};
    struct timespec now;
    struct stat stat_now;
    struct sink text;
    (void)state;
    begin(REGIONS "penstock: {discovery: {file: found.json}}\n");
    clock_gettime(CLOCK_REALTIME, &now);
    sink_init(&text, 65536);
    discover_put(&text, generation, findings, (uint64_t)now.tv_sec);
    assert_null(memmem(text.ptr, text.len, "\"k\"", 3)); /* the key */
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + 1;
    discover_read(generation, &seen); /* there is none */
    assert_string_equal(walk(now_ms), "abc");
    put_file("found.json", SLICE_LIT("rubbish"), 0644);
    discover_read(generation, &seen);
    assert_string_equal(walk(now_ms), "abc");
    assert_int_equal(discover_write(SLICE_LIT("found.json"), sink_slice(&text)), 0);
    assert_int_equal(stat("found.json", &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0600);
    assert_int_equal((uint64_t)stat_now.st_size, text.len);
    discover_read(generation, &seen);
    assert_string_equal(walk(now_ms), "bca");
    assert_int_equal(take(DISCOVER_UNKNOWN, DISCOVER_UNKNOWN, DISCOVER_UNKNOWN, NOW_S), 1);
    discover_read(generation, &seen); /* the same file is read once */
    assert_string_equal(walk(now_ms), "abc");
    seen = (struct discover_seen){0};
    discover_read(generation, &seen);
    assert_string_equal(walk(now_ms), "bca");
    assert_int_equal(unlink("found.json"), 0);
    discover_read(generation, &seen);
    assert_string_equal(walk(now_ms), "abc");
    assert_int_equal(discover_write(SLICE_LIT("no/such/folder/found.json"), sink_slice(&text)), -ERR_SYSTEM);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(discover_write(SLICE_LIT("folder"), sink_slice(&text)), -ERR_SYSTEM);
    assert_int_equal(rmdir("folder"), 0);
    DIR *here = opendir(".");
    for (struct dirent *entry; (entry = readdir(here)) != NULL;)
        assert_true(entry->d_name[0] == '.' || strcmp(entry->d_name, "c.yaml") == 0); /* no draft is left lying about */
    closedir(here);
    sink_fini(&text);
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubted_ones_come_last_and_come_all_the_same),
        cmocka_unit_test(a_file_is_believed_for_a_while),
        cmocka_unit_test(what_is_no_such_file_changes_nothing),
        cmocka_unit_test(entries_are_known_by_what_they_are),
        cmocka_unit_test(files_are_written_whole_and_for_their_owner),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
