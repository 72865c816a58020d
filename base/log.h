/* SPDX-License-Identifier: MIT
 *
 * log.h - logfmt lines into a bounded ring, written by a thread of its own.
 *
 * A caller never blocks: when the ring is full the line is dropped and counted, and the count is
 * reported in a later line. Values are quoted and escaped as needed, so no input can forge a line.
 * Before log_start and after log_stop lines go straight to the descriptor.
 */
#ifndef PENSTOCK_LOG_H
#define PENSTOCK_LOG_H

#include "base/slice.h"

#include <stdatomic.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG1, LOG_DEBUG2, LOG_DEBUG3 };

/* log_start - start the writer thread on a descriptor (not owned). 0 or -ERR_SYSTEM. */
int log_start(int fd) must_check;
/*
 * log_start_file - the same, into a file of our own (mode 0600, appended to).
 * rotate_bytes  when the file has grown to this it becomes path.1 (path.1 path.2, ...); 0: never
 * keep          how many old files stay
 * returns 0, -ERR_CONFIG for a bad path, -ERR_SYSTEM with errno
 */
int log_start_file(struct slice path, uint64_t rotate_bytes, unsigned keep) must_check;
/* log_reopen - open the file anew before the next line: someone else has moved it away. */
void log_reopen(void);
/* log_stop - write what is in the ring, end the thread. Called when the other threads have ended. A
 * descriptor that takes nothing for a second loses the rest. */
void log_stop(void);
void log_set_level(enum log_level level);
enum log_level log_level(void);
/* log_level_parse - "error", "warn", "info", "debug" (=1), "debug1".."debug3"; false otherwise. */
bool log_level_parse(struct slice text, enum log_level *out) must_check;
static inline bool log_on(enum log_level level);

#define LOG_LINE_MAX 4096
struct log_line {
    enum log_level level;
    size_t len;
    bool cut; /* the line was longer than LOG_LINE_MAX and was cut */
    char text[LOG_LINE_MAX];
};
/* log_begin - time, level and message (a literal: "stream done"). Then fields, then log_end. Names
 * of fields are literals too; values may hold anything. What does not fit is cut and marked
 * cut=true. */
void log_begin(struct log_line *line, enum log_level level, const char *message);
void log_put(struct log_line *line, struct slice name, struct slice value);
void log_put_plain(struct log_line *line, struct slice name, struct slice value);
void log_put_i64(struct log_line *line, struct slice name, int64_t value);
void log_put_ms(struct log_line *line, struct slice name, uint64_t micros);
/* Inline, so that the length of a name costs nothing. */
static inline void
log_field(struct log_line *line, const char *name, struct slice value)
{
    log_put(line, slice_from(name), value);
}
static inline void
log_text(struct log_line *line, const char *name, const char *value)
{
    log_put(line, slice_from(name), slice_from(value));
}
/* log_word - a value of our own, known to need no quotes. */
static inline void
log_word(struct log_line *line, const char *name, const char *value)
{
    log_put_plain(line, slice_from(name), slice_from(value));
}
static inline void
log_i64(struct log_line *line, const char *name, int64_t value)
{
    log_put_i64(line, slice_from(name), value);
}
/* log_ms - microseconds as milliseconds with three decimals. */
static inline void
log_ms(struct log_line *line, const char *name, uint64_t micros)
{
    log_put_ms(line, slice_from(name), micros);
}
void log_end(struct log_line *line);
/* log_say - message only, with a printf-style detail=... field. */
void log_say(enum log_level level, const char *message, const char *format, ...) printf_like(3, 4);
/* log_dropped - lines lost since the start. */
uint64_t log_dropped(void);

extern _Atomic int log_level_now;
static inline bool
log_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

#endif
