/* SPDX-License-Identifier: MIT
 *
 * json_token.h - the scan that writes tokens. Private to base.
 */
#ifndef PENSTOCK_JSON_TOKEN_H
#define PENSTOCK_JSON_TOKEN_H

#include "base/json.h"

/*
 * json_tokenise - json_scan, which besides writes tokens as long as there is room.
 * tokens, capacity  where to; out->tokens is how many there are, and when that is more than capacity
 *                   what was written is of no use
 * returns           as json_scan
 */
int json_tokenise(struct slice text, int depth_max, struct json_token *tokens, size_t capacity,
                  struct json_scan *out) must_check;

#endif
