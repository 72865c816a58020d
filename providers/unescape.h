/* SPDX-License-Identifier: MIT
 *
 * unescape.h - decode JSON string contents that arrive in pieces.
 *
 * Each piece is the complete contents of a JSON string, so no escape is ever cut; a surrogate pair
 * may be (its halves are two escapes), and is joined across pieces. Lone halves become U+FFFD.
 */
#ifndef PENSTOCK_UNESCAPE_H
#define PENSTOCK_UNESCAPE_H

#include "base/json.h"

struct unescape {
    uint16_t high; /* the first half of a surrogate pair that waits for its second, or 0 */
};

/* unescape_put - append the decoded text to a sink. */
void unescape_put(struct unescape *state, struct slice text, struct sink *out);
/* unescape_done - the text is over: a half pair that still waits becomes U+FFFD. */
void unescape_done(struct unescape *state, struct sink *out);
/* unescape_check - feed the decoded text to an incremental JSON check; what json_check_feed
 * answers. */
bool unescape_check(struct unescape *state, struct slice text, struct json_check *check);

#endif
