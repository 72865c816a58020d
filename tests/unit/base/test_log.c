/* SPDX-License-Identifier: MIT
 *
 * test_log.c - lines cannot be forged, producers never wait, what is lost is counted.
 */
#include "base/log.h"

#include "base/err.h"
#include "base/text.h"
#include "tests/unit/base/support.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Everything a pipe gives until it is closed or, with a limit, until that many bytes came. */
static struct slice
read_all(int fd, size_t limit)
{
    size_t len = 0, cap = 64u << 20;
    char *bytes = malloc(cap);
    assert_non_null(bytes);
    while (len < limit && len < cap) {
        ssize_t n = read(fd, bytes + len, cap - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    return slice_of(bytes, len);
}

static void
drop(struct slice bytes)
{
    free((void *)(uintptr_t)bytes.ptr);
}

/* What one line looks like in the log, without its time. */
static void
check_line(struct log_line *line, const char *want)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_start(fds[1]), 0);
    log_end(line);
    log_stop();
    close(fds[1]);
    struct slice got = read_all(fds[0], SIZE_MAX);
    close(fds[0]);
    assert_true(slice_starts(got, SLICE_LIT("time=20")));
    ptrdiff_t at = text_find(got, SLICE_LIT("Z level="));
    assert_int_equal(at, strlen("time=2026-01-31T12:00:00.123"));
    assert_slice(slice_skip(got, (size_t)at + 2), want);
    drop(got);
}

static void
values_are_quoted_when_they_must_be(void **state)
{
    (void)state;
    struct log_line line;
    log_begin(&line, LOG_WARN, "stream done");
    log_text(&line, "model", "gpt-4o/mini:latest");
    log_text(&line, "empty", "");
    log_field(&line, "absent", SLICE_NONE);
    log_text(&line, "space", "a b");
    log_text(&line, "quote", "a\"b");
    log_text(&line, "equals", "a=b");
    log_text(&line, "slash", "a\\b");
    log_text(&line, "accent", "\xc3\xa9t\xc3\xa9");
    log_i64(&line, "n", -12);
    log_ms(&line, "took", 1234005);
    check_line(&line,
               "level=warn msg=\"stream done\" model=gpt-4o/mini:latest empty=\"\" absent=\"\" "
               "space=\"a b\" quote=\"a\\\"b\" equals=\"a=b\" slash=\"a\\\\b\" "
               "accent=\xc3\xa9t\xc3\xa9 n=-12 took=1234.005\n");
}

static void
no_value_forges_a_line(void **state)
{
    (void)state;
    struct log_line line;
    log_begin(&line, LOG_ERROR, "x");
    log_text(&line, "a", "1\nlevel=error msg=forged");
    log_text(&line, "b", "1\r\n\t");
    log_field(&line, "c", SLICE_LIT("nul\0esc\x1b[2J"));
    log_text(&line, "d", "\xe2\x80\xa8 \xc2\x85 \xe2\x80\xae \xef\xbb\xbf");
    log_text(&line, "e", "bad \xff\xc0\xaf\xed\xa0\x80");
    log_text(&line, "f", "\x7f");
    check_line(&line, "level=error msg=x a=\"1\\nlevel=error msg=forged\" b=\"1\\r\\n\\t\" "
                      "c=\"nul\\u0000esc\\u001b[2J\" d=\"\\u2028 \\u0085 \\u202e \\ufeff\" "
                      "e=\"bad \\xff\\xc0\\xaf\\xed\\xa0\\x80\" f=\"\\u007f\"\n");
}

/* Whatever the value: one line end, at the end; an even number of bare quotes; nothing unprintable.
 */
static void
random_values_stay_in_their_line(void **state)
{
    (void)state;
    struct random random = {41};
    for (int i = 0; i < 3000; i++) {
        char value[300];
        size_t len = random_below(&random, sizeof(value));
        for (size_t at = 0; at < len; at++)
            value[at] = random_below(&random, 4) ? (char)random_next(&random) : "\"\\\n= "[i % 5];
        struct log_line line;
        log_begin(&line, LOG_INFO, "m");
        for (int field = 0; field < 1 + i % 20; field++)
            log_field(&line, "v", slice_of(value, len));
        assert_true(line.len <= LOG_LINE_MAX - strlen(" cut=true\n"));
        assert_true(text_utf8_valid(slice_of(line.text, line.len)));
        bool quoted = false;
        for (size_t at = 0; at < line.len; at++) {
            assert_true((unsigned char)line.text[at] >= ' ' && line.text[at] != 0x7f);
            if (line.text[at] == '\\' && quoted)
                at++;
            else if (line.text[at] == '"')
                quoted = !quoted;
        }
        assert_false(quoted);
    }
}

static void
long_lines_are_cut_and_say_so(void **state)
{
    (void)state;
    char value[2 * LOG_LINE_MAX];
    static const char *const fills[] = {"a", "\"", "\n", "\xe2\x82\xac", " ", "\x01", "\xff"};
    for (size_t i = 0; i < countof(fills); i++) {
        size_t unit = strlen(fills[i]);
        for (size_t at = 0; at + unit <= sizeof(value); at += unit)
            memcpy(value + at, fills[i], unit);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(log_start(fds[1]), 0);
        struct log_line line;
        log_begin(&line, LOG_INFO, "m");
        log_field(&line, "v", slice_of(value, sizeof(value)));
        log_i64(&line, "later", 1);
        log_end(&line);
        log_stop();
        close(fds[1]);
        struct slice got = read_all(fds[0], SIZE_MAX);
        close(fds[0]);
        assert_true(got.len <= LOG_LINE_MAX);
        assert_true(got.len > LOG_LINE_MAX - 32);
        assert_true(slice_ends(got, SLICE_LIT("\" cut=true\n")));
        assert_int_equal(text_find(got, SLICE_LIT("\n")), got.len - 1);
        assert_int_equal(text_find(got, SLICE_LIT("later")), -1);
        drop(got);
    }
    /* Many fields: the one that does not fit is left out whole or cut, never half a name. */
    for (size_t len = 1; len < 40; len++) {
        struct log_line line;
        log_begin(&line, LOG_INFO, "m");
        for (int i = 0; i < 2000; i++)
            log_field(&line, "name",
                      slice_take(SLICE_LIT("0123456789012345678901234567890123456789"), len));
        assert_true(line.cut);
        struct slice text = slice_of(line.text, line.len);
        ptrdiff_t at = 0;
        while (text_find(slice_skip(text, (size_t)at + 1), SLICE_LIT(" ")) >= 0)
            at += 1 + text_find(slice_skip(text, (size_t)at + 1), SLICE_LIT(" "));
        assert_true(slice_starts(slice_skip(text, (size_t)at), SLICE_LIT(" name=")));
        assert_true(slice_skip(text, (size_t)at).len > strlen(" name="));
    }
}

/* A quoted value that ends where the line does leaves its last quote behind the room for fields. */
static void
a_full_line_takes_no_more(void **state)
{
    (void)state;
    static char value[LOG_LINE_MAX];
    static struct {
        struct log_line line;
        char behind[64];
    } guarded;
    memset(value, ' ', sizeof(value));
    for (size_t len = LOG_LINE_MAX - 100; len < LOG_LINE_MAX; len++) {
        memset(guarded.behind, 'x', sizeof(guarded.behind));
        log_begin(&guarded.line, LOG_INFO, "m");
        log_field(&guarded.line, "v", slice_of(value, len));
        log_text(&guarded.line, "a_name_that_is_longer_than_what_is_left", "value");
        log_i64(&guarded.line, "number_with_quite_a_long_name_as_well", INT64_MIN);
        log_ms(&guarded.line, "ms", UINT64_MAX);
        assert_true(guarded.line.len < LOG_LINE_MAX - strlen(" cut=true"));
        for (size_t i = 0; i < sizeof(guarded.behind); i++)
            assert_int_equal(guarded.behind[i], 'x');
    }
}

static void
levels(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum log_level level;
    } cases[] = {{"error", LOG_ERROR},  {"warn", LOG_WARN},     {"info", LOG_INFO},
                 {"debug", LOG_DEBUG1}, {"debug1", LOG_DEBUG1}, {"debug2", LOG_DEBUG2},
                 {"debug3", LOG_DEBUG3}};
    enum log_level level;
    for (size_t i = 0; i < countof(cases); i++) {
        assert_true(log_level_parse(slice_from(cases[i].text), &level));
        assert_int_equal(level, cases[i].level);
    }
    assert_false(log_level_parse(SLICE_LIT("debug4"), &level));
    assert_false(log_level_parse(SLICE_LIT(""), &level));
    assert_false(log_level_parse(SLICE_LIT("INFO"), &level));

    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_start(fds[1]), 0);
    log_set_level(LOG_WARN);
    assert_int_equal(log_level(), LOG_WARN);
    assert_false(log_on(LOG_INFO));
    log_say(LOG_INFO, "unheard", "%d", 1);
    struct log_line line;
    log_begin(&line, LOG_INFO, "unheard");
    log_end(&line);
    log_say(LOG_WARN, "heard", "%s and %d", "this", 2);
    log_set_level(LOG_INFO);
    log_stop();
    close(fds[1]);
    struct slice got = read_all(fds[0], SIZE_MAX);
    close(fds[0]);
    assert_int_equal(text_find(got, SLICE_LIT("unheard")), -1);
    assert_true(slice_ends(got, SLICE_LIT("level=warn msg=heard detail=\"this and 2\"\n")));
    drop(got);
}

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Nobody reads: far more lines than pipe and ring hold. No call may wait, and every line is either
 * written or counted as dropped. */
static void
a_full_pipe_blocks_nobody(void **state)
{
    (void)state;
    enum { LINES = 30000 };
    int fds[2];
    uint64_t dropped_before = log_dropped();
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_start(fds[1]), 0);
    for (int i = 0; i < LINES; i++)
        log_say(LOG_INFO, "full", "%d", i); /* would wait for ever if it waited */
    uint64_t dropped = log_dropped() - dropped_before;
    assert_in_range(dropped, LINES - 10000, LINES - 2000);

    /* Now someone reads; the writer goes on where it was, in order, and says what was lost. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[1]);
        struct slice got = read_all(fds[0], SIZE_MAX);
        uint64_t lines = 0;
        long last = -1;
        uint64_t said = 0;
        while (got.len > 0) {
            struct slice line = text_split(&got, '\n');
            ptrdiff_t at = text_find(line, SLICE_LIT("msg=full detail="));
            if (at >= 0) {
                long number = strtol(line.ptr + at + strlen("msg=full detail="), NULL, 10);
                if (number <= last)
                    _exit(1);
                last = number;
                lines++;
            } else if (text_find(line, SLICE_LIT("log lines dropped")) >= 0) {
                at = text_find(line, SLICE_LIT(" lines="));
                said += strtoull(line.ptr + at + strlen(" lines="), NULL, 10);
            }
        }
        _exit(lines + dropped != LINES ? 2 : said != dropped ? 3 : 0);
    }
    log_stop();
    close(fds[1]);
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A descriptor that never takes anything must not hold up the end of the program. */
static void
stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_start(fds[1]), 0);
    for (int i = 0; i < 3000; i++)
        log_say(LOG_INFO, "stuck", "%0200d", i);
    int64_t begin = now_ms();
    log_stop();
    assert_in_range(now_ms() - begin, 0, 4000);
    close(fds[0]);
    close(fds[1]);
}

enum { THREADS = 4, LINES_EACH = 20000 };

static void *
produce(void *argument)
{
    int thread = *(int *)argument;
    static const char filler[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    for (int i = 0; i < LINES_EACH; i++) {
        struct log_line line;
        log_begin(&line, LOG_INFO, "race");
        log_i64(&line, "thread", thread);
        log_i64(&line, "number", i);
        for (int j = 0; j < i % 12; j++)
            log_text(&line, "filler", filler);
        log_text(&line, "end", "yes");
        log_end(&line);
    }
    return NULL;
}

struct tally {
    int fd;
    long last[THREADS];
    uint64_t lines, broken;
};

static void *
consume(void *argument)
{
    struct tally *tally = argument;
    struct slice all = read_all(tally->fd, SIZE_MAX), got = all;
    while (got.len > 0) {
        struct slice line = text_split(&got, '\n');
        if (text_find(line, SLICE_LIT("log lines dropped")) >= 0)
            continue;
        ptrdiff_t at = text_find(line, SLICE_LIT(" thread="));
        ptrdiff_t after = text_find(line, SLICE_LIT(" number="));
        if (at < 0 || after < 0 || !slice_starts(line, SLICE_LIT("time=")) ||
            !slice_ends(line, SLICE_LIT(" end=yes"))) {
            tally->broken++;
            continue;
        }
        long thread = strtol(line.ptr + at + strlen(" thread="), NULL, 10);
        long number = strtol(line.ptr + after + strlen(" number="), NULL, 10);
        if (thread < 0 || thread >= THREADS || number <= tally->last[thread]) {
            tally->broken++;
            continue;
        }
        tally->last[thread] = number;
        tally->lines++;
    }
    drop(all);
    return NULL;
}

/* Lines of several threads, one slot and many: whole, each thread's in order, written or counted.
 */
static void
threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    int fds[2];
    uint64_t dropped_before = log_dropped();
    assert_int_equal(pipe(fds), 0);
    struct tally tally = {.fd = fds[0], .last = {-1, -1, -1, -1}};
    pthread_t reader, producers[THREADS];
    int numbers[THREADS];
    assert_int_equal(pthread_create(&reader, NULL, consume, &tally), 0);
    assert_int_equal(log_start(fds[1]), 0);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&producers[i], NULL, produce, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(producers[i], NULL);
    log_stop();
    close(fds[1]);
    pthread_join(reader, NULL);
    close(fds[0]);
    assert_int_equal(tally.broken, 0);
    assert_true(tally.lines > 1000);
    assert_int_equal(tally.lines + (log_dropped() - dropped_before), THREADS * LINES_EACH);
}

/* The writer must wake for a single line, not only under load. */
static void
a_single_line_arrives_at_once(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_start(fds[1]), 0);
    for (int i = 0; i < 500; i++) {
        log_say(LOG_INFO, "alone", "%d", i);
        struct pollfd ready = {.fd = fds[0], .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        char bytes[4096];
        assert_true(read(fds[0], bytes, sizeof(bytes)) > 0);
    }
    log_stop();
    close(fds[0]);
    close(fds[1]);
}

static void
without_a_thread_lines_go_straight_out(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_start(fds[1]), 0);
    log_stop();
    log_say(LOG_INFO, "after", "x");
    close(fds[1]);
    struct slice got = read_all(fds[0], SIZE_MAX);
    close(fds[0]);
    assert_true(slice_ends(got, SLICE_LIT("msg=after detail=x\n")));
    drop(got);
}

/* The bytes of a file below dir, and how many lines they are; -1 when there is no such file. */
static int
lines_of(const char *dir, const char *name, bool *whole)
{
    char path[256], bytes[65536];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    int lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    *whole = n > 0 && bytes[n - 1] == '\n' && memcmp(bytes, "time=", 5) == 0;
    unlink(path);
    return lines;
}

static void
a_file_rotates_between_lines_and_keeps_so_many(void **state)
{
    (void)state;
    char dir[] = "/tmp/penstock-log-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/log", dir);
    assert_int_equal(log_start_file(slice_from(path), 1000, 2), 0);
    for (int i = 0; i < 1000; i++) {
        log_say(LOG_INFO, "line", "%d of a file that grows", i);
        if (i == 998) { /* the last goes into a file opened anew: the old one was moved away */
            struct timespec pause = {0, 50000000};
            nanosleep(&pause, NULL);
            log_reopen();
        }
    }
    log_stop();
    bool whole[4] = {false};
    int lines[4] = {lines_of(dir, "log", &whole[0]), lines_of(dir, "log.1", &whole[1]),
                    lines_of(dir, "log.2", &whole[2]), lines_of(dir, "log.3", &whole[3])};
    assert_true(lines[0] > 0 && lines[1] > 0 && lines[2] > 0);
    assert_true(whole[0] && whole[1] && whole[2]);
    assert_int_equal(lines[3], -1);
    assert_true(lines[0] + lines[1] + lines[2] < 1000); /* older ones are gone */
    rmdir(dir);
}

static void
a_file_that_can_not_be_opened_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(log_start_file(SLICE_LIT("/nonexistent/log"), 0, 0), -ERR_SYSTEM);
    assert_int_equal(log_start_file(SLICE_LIT(""), 0, 0), -ERR_CONFIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted_when_they_must_be),
        cmocka_unit_test(no_value_forges_a_line),
        cmocka_unit_test(random_values_stay_in_their_line),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(a_full_line_takes_no_more),
        cmocka_unit_test(levels),
        cmocka_unit_test(a_full_pipe_blocks_nobody),
        cmocka_unit_test(stop_does_not_wait_for_ever),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(a_single_line_arrives_at_once),
        cmocka_unit_test(without_a_thread_lines_go_straight_out),
        cmocka_unit_test(a_file_rotates_between_lines_and_keeps_so_many),
        cmocka_unit_test(a_file_that_can_not_be_opened_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
