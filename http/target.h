/* SPDX-License-Identifier: MIT
 *
 * target.h - the request target and the Host field. Private to http/.
 */
#ifndef PENSTOCK_HTTP_TARGET_H
#define PENSTOCK_HTTP_TARGET_H

#include "http/http.h"

/* http_host_valid - is this "name", "name:port", "[v6]" or "[v6]:port", and nothing more? */
bool http_host_valid(struct slice host) must_check;

/*
 * http_parse_target - from method, target and host (absent without a Host field) set path, query
 * and host. returns false if the target has none of the forms that go with the method, or disagrees
 * with Host
 */
bool http_parse_target(struct http_head *head) must_check;

#endif
