/* SPDX-License-Identifier: MIT
 *
 * media.h - pictures and videos behind OpenAI's paths from upstreams that speak Google's language: Imagen, Gemini's image
 * models and Veo. A relay whose body is written and whose reply is read; everything else is as relay.c has it.
 *
 * Sources: OpenAI's reference of images; Google's public references of Imagen, Veo and generateContent, for Vertex AI and AI Studio.
 */
#ifndef PENSTOCK_MEDIA_H
#define PENSTOCK_MEDIA_H

#include "gateway/stream.h"

#define MEDIA_POLL_ID_MAX 1024

enum media_kind { MEDIA_IMAGEN, MEDIA_GEMINI, MEDIA_VEO, MEDIA_VEO_POLL };

struct media { /* in the stream's request arena */
    enum media_kind kind;
    /* of a poll: what its id says */
    int64_t started_s;
    uint64_t place;
    struct slice poll_id, name /* the client's, of the model */, model /* the upstream's */, operation;
};

/* media_serves - is this an endpoint of pictures or videos, and does such an upstream make them with this model of its? */
bool media_serves(const struct stream *stream, const struct deployment *deployment, struct slice model);
/* media_find_poll - does the request ask how a video is getting on? Then stream->media and *model are set. NONE or FAILED. */
enum stream_event media_find_poll(struct stream *stream, struct slice *model);
/* media_pin - the route was begun: a video is asked for only where it is being made. NONE or FAILED. */
enum stream_event media_pin(struct stream *stream);
/* media_write_body - the request in Google's words, into out_body; sets stream->media. 0, -ERR_REQUEST, -ERR_UNSUPPORTED, -ERR_MEMORY. */
int media_write_body(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault) must_check;
const char *media_method(const struct stream *stream);
void media_put_target(const struct stream *stream, const struct dialect_upstream *upstream, struct sink *out);
/* media_read_reply - a whole good reply of the upstream's becomes the client's, in `collected`. 0 or -ERR, with the failure set. */
int media_read_reply(struct stream *stream) must_check;

/* ---- shared by media.c and media_video.c */
/* One field of the client's request that Google knows by another name. */
struct media_option {
    const char *name, *google;
};
/* media_prompt - the prompt, and that fields are not repeated. 0, -ERR_REQUEST with fault. */
int media_prompt(struct stream *stream, struct json *prompt, struct canon_fault *fault) must_check;
/* media_count - n, 1 to max; 0: not given. */
int media_count(struct stream *stream, uint64_t max, uint64_t *n, struct canon_fault *fault) must_check;
/* media_aspect - the nearest of these ratios to the field `size`; NULL: none was given. */
int media_aspect(struct stream *stream, const char *const *ratios, const char **nearest, struct canon_fault *fault) must_check;
/* media_put_options - what of these the client gave, or else default_params of the deployment, into an open object. */
int media_put_options(struct stream *stream, const struct deployment *deployment, const struct media_option *options, struct json_writer *json,
                      struct canon_fault *fault) must_check;
/* media_has - will media_put_options write this one? */
bool media_has(struct stream *stream, const struct deployment *deployment, const char *name, const char *google);
/* media_report - note what is given and is neither in options nor in known. */
void media_report(struct stream *stream, const struct media_option *options, const char *const *known);
/* media_filtered - nothing was made, for reasons of policy. */
int media_filtered(struct stream *stream, struct slice reason);
/* media_replace - what was collected becomes text. 0, -ERR_UPSTREAM_TOO_LARGE, -ERR_MEMORY. Takes over the sink. */
int media_replace(struct stream *stream, struct sink *text) must_check;

int media_write_video(struct stream *stream, const struct deployment *deployment, struct sink *out, struct canon_fault *fault) must_check;
int media_write_poll(struct stream *stream, const struct deployment *deployment, struct sink *out) must_check;
int media_read_started(struct stream *stream, struct json root) must_check;
int media_read_polled(struct stream *stream, struct json root) must_check;

#endif
