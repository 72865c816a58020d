/* SPDX-License-Identifier: MIT
 *
 * enclose.c - fetching what a request names by URL; see enclose.h.
 *
 * A stranger says where to go. So only the open internet is asked (unless configured otherwise; judged by the address that
 * is connected to, not by a name that may change), nothing goes along, and what comes must be what it says it is.
 */
#include "gateway/enclose.h"
#include "base/text.h"
#include "gateway/fetch.h"
#include "gateway/worker.h"

struct enclosed {
    struct enclosure *all;
    struct fetch *fetch; /* NULL: it has ended */
    struct slice url;
    enum canon_part_kind kind;
    const char *type;
    struct slice data; /* base64 */
};

struct enclosure { /* in the stream's request arena */
    struct stream *stream;
    struct enclosed items[ENCLOSE_MAX];
    uint32_t count, waiting;
    uint64_t bytes;
    struct slice problem; /* the first; absent: none */
};

/* ---------------------------------------------------------------- types */

const char *
enclose_type(struct slice bytes)
{
    static const struct {
        const char *type;
        size_t at;
        struct slice magic;
    } rows[] = {
        {"image/png", 0, SLICE_LIT("\x89PNG\r\n\x1a\n")}, {"image/jpeg", 0, SLICE_LIT("\xff\xd8\xff")}, {"image/gif", 0, SLICE_LIT("GIF87a")},
        {"image/gif", 0, SLICE_LIT("GIF89a")},            {"image/webp", 8, SLICE_LIT("WEBP")},         {"application/pdf", 0, SLICE_LIT("%PDF-")},
        {"image/heic", 4, SLICE_LIT("ftypheic")},         {"image/heif", 4, SLICE_LIT("ftypmif1")},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (slice_starts(slice_skip(bytes, rows[i].at), rows[i].magic) && (rows[i].at != 8 || slice_starts(bytes, SLICE_LIT("RIFF"))))
            return rows[i].type;
    return NULL;
}

/* What was announced and what came must agree, and fit the place it goes to. */
static const char *
agreed_type(struct slice announced, struct slice bytes, enum canon_part_kind kind)
{
    const char *type = enclose_type(bytes);
    struct slice said = text_trim(text_split(&announced, ';'));
    if (text_caseless_is(said, "image/jpg"))
        said = SLICE_LIT("image/jpeg");
    bool image = type && type[0] == 'i';
    return type && text_caseless_is(said, type) && image == (kind == PART_IMAGE) ? type : NULL;
}

/* ---------------------------------------------------------------- fetching */

static void
complain(struct enclosure *all, const struct enclosed *item, const char *why)
{
    struct fetch_url url;
    struct slice host = fetch_read_url(item->url, &url) ? slice_take(url.host, 100) : SLICE_LIT("that address");
    metrics_add(&all->stream->worker->metrics->media_fetch_failures, 1);
    if (!slice_present(all->problem))
        all->problem = arena_printf(&all->stream->reply, "cannot fetch %s from %.*s: %s", item->kind == PART_IMAGE ? "an image" : "a document",
                                    SLICE_ARG(host), why);
    if (!slice_present(all->problem))
        all->problem = SLICE_LIT("cannot fetch what a URL of the request leads to");
}

static const char *
reason(const struct fetch_reply *reply)
{
    switch (-reply->error) {
    case 0:
        return reply->status == 200 ? NULL : "it was not found there";
    case ERR_REQUEST:
        return "its address, or where it redirects to, may not be asked";
    case ERR_UPSTREAM_TOO_LARGE:
        return "it is too large";
    case ERR_FIRST_BYTE_TIMEOUT:
    case ERR_CONNECT_TIMEOUT:
        return "it took too long";
    default:
        return "the connection failed";
    }
}

static void
fetched(void *user, const struct fetch_reply *reply)
{
    struct enclosed *item = user;
    struct enclosure *all = item->all;
    struct stream *stream = all->stream;
    struct sink text;
    const char *why = reason(reply);
    item->fetch = NULL;
    all->waiting--;
    stream_post(stream, EVENT_TURN);
    if (!why && !(item->type = agreed_type(reply->content_type, reply->body, item->kind)))
        why = "what is there is no image or document of a known type, or not what it claims to be";
    all->bytes += reply->body.len;
    if (!why && all->bytes > stream->generation->config->limits.body_bytes)
        why = "all together are too large for a request";
    if (why) {
        complain(all, item, why);
        return;
    }
    metrics_add(&stream->worker->metrics->media_fetch_bytes, reply->body.len);
    sink_init(&text, reply->body.len * 2 + 64);
    text_base64(&text, reply->body);
    item->data = text.error ? SLICE_NONE : arena_copy(&stream->request, sink_slice(&text));
    sink_fini(&text);
    if (!slice_present(item->data))
        complain(all, item, "there is no room for it");
}

static void
begin(struct enclosure *all, struct enclosed *item)
{
    struct stream *stream = all->stream;
    const struct config *config = stream->generation->config;
    const struct fetch_request request = {
        .method = "GET", .url = item->url, .fields = SLICE_LIT("Accept: image/*, application/pdf\r\n"), .body = SLICE_NONE,
        .reply_max = config->media_bytes, .timeout_ms = config->media_ms, .trust = stream->generation->trust,
        .public_only = !config->media_private, .https_only = config->media_https_only, .redirects = (uint32_t)config->media_redirects,
    };
    metrics_add(&stream->worker->metrics->media_fetches, 1);
    int error = fetch_start(stream->worker, &request, fetched, item, &item->fetch);
    if (error == 0)
        all->waiting++;
    else
        complain(all, item, reason(&(struct fetch_reply){.error = error}));
}

/* ---------------------------------------------------------------- the request's parts */

static bool
is_remote(const struct canon_part *part, const struct deployment *deployment)
{
    static const char *const googles[] = {"https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/"};
    struct slice url = part->url;
    if ((part->kind != PART_IMAGE && part->kind != PART_DOCUMENT) || url.len == 0)
        return false;
    for (size_t i = 0; i < countof(googles) && deployment->dialect->id == DIALECT_GEMINI; i++)
        if (slice_starts(url, slice_from(googles[i]))) /* it knows these */
            return false;
    return text_caseless_eq(slice_take(url, 7), SLICE_LIT("http://")) || text_caseless_eq(slice_take(url, 8), SLICE_LIT("https://"));
}

static struct enclosed *
find(struct enclosure *all, const struct canon_part *part)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (slice_eq(all->items[i].url, part->url) && all->items[i].kind == part->kind)
            return &all->items[i];
    return NULL;
}

/* Every part, those in results of tools too. NULL behind the last. */
struct walk {
    struct canon_message *message;
    struct canon_part *part, *inner;
};

static struct canon_part *
next_part(struct walk *walk)
{
    if (walk->inner && (walk->inner = walk->inner->next) != NULL)
        return walk->inner;
    if (walk->part)
        walk->part = walk->part->next;
    while (!walk->part && walk->message) {
        walk->part = walk->message->parts;
        walk->message = walk->message->next;
    }
    return walk->part;
}

/* The parts of a result follow it. */
static struct canon_part *
step(struct walk *walk)
{
    if (!walk->inner && walk->part && walk->part->parts)
        return walk->inner = walk->part->parts;
    return next_part(walk);
}

static int
collect(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault)
{
    struct walk walk = {.message = stream->canon->messages};
    struct enclosure *all = NULL;
    for (struct canon_part *part; (part = step(&walk)) != NULL;) {
        if (!is_remote(part, deployment) || (all && find(all, part)))
            continue;
        if (!all && !(all = arena_take(&stream->request, sizeof *all)))
            return -ERR_MEMORY;
        if (all->count == ENCLOSE_MAX) {
            fault->message = SLICE_LIT("too many images and documents by URL: eight are fetched for a request at most");
            return -ERR_REQUEST;
        }
        all->stream = stream;
        all->items[all->count++] = (struct enclosed){.all = all, .url = part->url, .kind = part->kind};
    }
    stream->enclosure = all;
    for (uint32_t i = 0; all && i < all->count; i++)
        begin(all, &all->items[i]);
    return 0;
}

static void
put_into_request(struct stream *stream)
{
    struct walk walk = {.message = stream->canon->messages};
    for (struct canon_part *part; (part = step(&walk)) != NULL;) {
        struct enclosed *item = part->url.len > 0 ? find(stream->enclosure, part) : NULL;
        if (!item)
            continue;
        part->url = SLICE_NONE;
        part->media_type = slice_from(item->type);
        part->data = item->data;
    }
}

int
enclose(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault)
{
    int error = 0;
    if (deployment->upstream.url_media || !stream->generation->config->media_fetch)
        return 0;
    if (!stream->enclosure)
        error = collect(stream, deployment, fault);
    struct enclosure *all = stream->enclosure;
    if (error < 0 || !all)
        return error;
    if (slice_present(all->problem)) {
        fault->message = all->problem;
        enclose_leave(stream);
        return -ERR_REQUEST;
    }
    if (all->waiting > 0)
        return 1;
    put_into_request(stream);
    stream->enclosure = NULL; /* further tries find data */
    return 0;
}

void
enclose_leave(struct stream *stream)
{
    struct enclosure *all = stream->enclosure;
    for (uint32_t i = 0; all && i < all->count; i++) {
        if (all->items[i].fetch)
            fetch_cancel(all->items[i].fetch);
    }
    stream->enclosure = NULL;
}
