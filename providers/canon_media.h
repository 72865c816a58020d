/* SPDX-License-Identifier: MIT
 *
 * canon_media.h - inline media as every dialect has them: base64 text, and what it is of.
 */
#ifndef PENSTOCK_CANON_MEDIA_H
#define PENSTOCK_CANON_MEDIA_H

#include "base/sink.h"

/* canon_base64 - append data in the standard alphabet, padded, without line breaks; false on bytes
 * that are no base64. What is appended is written in place: it can be tens of megabytes. */
bool canon_base64(struct sink *out, struct slice data) must_check;
/* canon_base64_is_standard - is data already what canon_base64 would write? */
bool canon_base64_is_standard(struct slice data);
/* canon_image_type - what image the base64 data is by its first bytes: a media type, or NULL. */
const char *canon_image_type(struct slice data);
/* canon_is_pdf - does the base64 data begin like a PDF document? */
bool canon_is_pdf(struct slice data);
/* canon_url_type - the media type that a URL's file name ending says, or NULL. */
const char *canon_url_type(struct slice url);

#endif
