/* SPDX-License-Identifier: MIT
 *
 * remember.c - a stream's side of the memory of reasoning state.
 *
 * A client of the upstream's own dialect keeps the state itself, since it gets every byte of it; so only translated replies
 * are watched, and those of Chat servers that insist on their reasoning (replay_reasoning), which Chat clients drop.
 */
#include "gateway/remember.h"
#include "gateway/recall.h"
#include "gateway/worker.h"

static struct recall_owner
owner_of(const struct stream *stream)
{
    const struct config *config = stream->generation->config;
    struct slice key = stream->key_index >= 0 ? config->keys[stream->key_index].name : SLICE_LIT("");
    return (struct recall_owner){.key = key, .model = stream->model};
}

static bool
concerns(const struct stream *stream, const struct deployment *deployment)
{
    const struct recall *recall = stream->worker->gateway->recall;
    return recall && recall_on(recall) && (!stream->same_dialect || deployment->upstream.replay_reasoning);
}

void
remember_reply(struct stream *stream, const struct canon_events *events)
{
    if (!concerns(stream, stream->deployment))
        return;
    if (!stream->watch) {
        stream->watch = arena_take(&stream->reply, sizeof *stream->watch);
        if (!stream->watch)
            return;
        recall_watch_init(stream->watch, &stream->reply);
    }
    struct recall_owner owner = owner_of(stream);
    if (recall_watch_events(stream->watch, events, stream->worker->gateway->recall, &owner, stream->worker->loop.now_ms) < 0)
        stream->watch->full = true;
}

int
remember_request(struct stream *stream, const struct deployment *deployment)
{
    static const enum canon_origin origins[DIALECT_COUNT] = {
        [DIALECT_OPENAI_CHAT] = ORIGIN_CHAT, [DIALECT_ANTHROPIC] = ORIGIN_ANTHROPIC,
        [DIALECT_OPENAI_RESPONSES] = ORIGIN_RESPONSES, [DIALECT_GEMINI] = ORIGIN_GEMINI,
    };
    enum canon_origin origin = origins[deployment->dialect->id];
    if (!concerns(stream, deployment) || (origin == ORIGIN_CHAT && !deployment->upstream.replay_reasoning))
        return 0;
    struct recall_owner owner = owner_of(stream);
    return recall_fill(stream->worker->gateway->recall, stream->canon, &owner, origin, stream->worker->loop.now_ms);
}
