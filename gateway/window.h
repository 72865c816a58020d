/* SPDX-License-Identifier: MIT
 *
 * window.h - how long the context windows of upstream models are, as their servers say (R150).
 *
 * Asked for deployments that are to truncate conversations and have no window in the configuration: LM Studio's own list first, which
 * knows what a model was loaded with, then the list of models of the deployment's dialect. Off the request path, at the start and
 * once a minute; what is not known yet truncates nothing.
 */
#ifndef PENSTOCK_WINDOW_H
#define PENSTOCK_WINDOW_H

#include "base/slice.h"

#include <stdint.h>

struct deployment;
struct windows;
struct worker;

/* window_of - the window of this upstream model in tokens; 0: not known. */
uint64_t window_of(const struct deployment *deployment, struct slice model);
/* window_tick - once a second on each worker; the first of them asks what is due. */
void window_tick(struct worker *worker);
/* window_inherit - a new configuration begins with what the old one knew. */
void window_inherit(struct deployment *deployment, const struct deployment *old);
/* window_free - with the generation. */
void window_free(struct deployment *deployment);

/* window_read - a list of models as any server writes it. The table, NULL when it names no window. For window.c and its test. */
struct windows *window_read(struct slice body);
uint64_t window_in(const struct windows *windows, struct slice model);
/* window_same - do both say the same? What is the same is not kept once more. */
bool window_same(const struct windows *a, const struct windows *b);

#endif
