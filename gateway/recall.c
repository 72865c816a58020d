/* SPDX-License-Identifier: MIT
 *
 * recall.c - a bounded table of reasoning state by tool call; see recall.h.
 */
#include "gateway/recall.h"

#include <stdlib.h>

/* One thought or call, as it was told. In a watch its text grows in a sink; in the table all lies behind the entry. */
struct recall_piece {
    struct recall_piece *next;
    enum canon_block type; /* THINKING, REDACTED, CALL */
    enum canon_origin origin;
    uint32_t block;
    struct slice id;
    struct slice text, signature; /* escaped; a call's text are its arguments */
    size_t text_room;
    bool closed;
};

struct recall_entry {
    struct recall_entry *chain;           /* of the bucket */
    struct recall_entry *older, *newer;
    uint64_t hash, check;
    uint64_t until_ms;
    size_t bytes;
    struct recall_piece *pieces; /* thoughts before the call, then the call itself with its signature */
};

/* ---------------------------------------------------------------- keys */

struct key {
    uint64_t hash, check; /* two independent runs of FNV-1a: 128 bits */
};

static void
mix(struct key *key, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        key->hash = (key->hash ^ (unsigned char)bytes.ptr[i]) * 0x100000001b3ull;
        key->check = (key->check ^ ((unsigned char)bytes.ptr[i] + 0x9eu)) * 0x100000001b3ull;
    }
    key->hash = (key->hash ^ 0xff) * 0x100000001b3ull; /* where one part ends and the next begins */
    key->check = (key->check ^ 0x1ff) * 0x100000001b3ull;
}

/* Arguments by what they mean: clients write the same JSON with other white space and escapes. */
static void
mix_arguments(struct key *key, struct slice text)
{
    struct arena scratch;
    struct json root;
    arena_init(&scratch, 16u << 20);
    if (text.len == 0)
        text = SLICE_LIT("{}");
    if (json_parse(text, 64, 1u << 16, &scratch, &root) != 0) {
        mix(key, text);
        arena_fini(&scratch);
        return;
    }
    struct json open[64];
    int depth = 0;
    for (struct json at = root; json_present(at) || depth > 0;) {
        if (!json_present(at)) {
            mix(key, SLICE_LIT("]"));
            at = json_next(open[--depth]);
            if (depth == 0)
                break;
            continue;
        }
        enum json_type type = json_type(at);
        if (slice_present(json_key(at)))
            mix(key, json_unescape(json_key(at), &scratch));
        if ((type == JSON_OBJECT || type == JSON_ARRAY) && depth < (int)countof(open)) {
            mix(key, type == JSON_OBJECT ? SLICE_LIT("{") : SLICE_LIT("["));
            open[depth++] = at;
            at = json_first(at);
            continue;
        }
        mix(key, type == JSON_STRING ? json_string(at, &scratch) : json_raw(at));
        if (depth == 0)
            break;
        at = json_next(at);
    }
    arena_fini(&scratch);
}

static struct key
key_of(const struct recall_owner *owner, struct slice id, struct slice arguments)
{
    struct key key = {0xcbf29ce484222325ull, 0x84222325cbf29ce4ull};
    mix(&key, owner->key);
    mix(&key, owner->model);
    mix(&key, id);
    mix_arguments(&key, arguments);
    return key;
}

/* ---------------------------------------------------------------- the table, under its lock */

static void
publish(struct recall *recall)
{
    atomic_store_explicit(&recall->held_bytes, recall->bytes, memory_order_relaxed);
}

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void
unlink_entry(struct recall *recall, struct recall_entry *entry)
{
    struct recall_entry **link = &recall->buckets[entry->hash % RECALL_BUCKETS];
    while (*link != entry)
        link = &(*link)->chain;
    *link = entry->chain;
    *(entry->newer ? &entry->newer->older : &recall->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &recall->oldest) = entry->newer;
    recall->bytes -= entry->bytes;
    atomic_fetch_sub_explicit(&recall->entries, 1, memory_order_relaxed);
    free(entry);
}

static void
shrink(struct recall *recall, size_t bytes_max, uint64_t now_ms)
{
    while (recall->oldest && (recall->bytes > bytes_max || recall->oldest->until_ms <= now_ms)) {
        if (recall->oldest->until_ms > now_ms)
            add(&recall->evictions, 1);
        unlink_entry(recall, recall->oldest);
    }
    publish(recall);
}

static struct recall_entry *
find(struct recall *recall, const struct key *key)
{
    struct recall_entry *at = recall->buckets[key->hash % RECALL_BUCKETS];
    while (at && (at->hash != key->hash || at->check != key->check))
        at = at->chain;
    return at;
}

static struct slice
place(char **to, struct slice bytes)
{
    struct slice placed = {*to, bytes.len};
    if (!slice_present(bytes))
        return SLICE_NONE;
    memcpy(*to, bytes.ptr, bytes.len);
    *to += bytes.len;
    return placed;
}

/* One block of memory for an entry with the thoughts before a call and the call's own signature. */
static struct recall_entry *
make_entry(const struct recall_piece *first, const struct recall_piece *call)
{
    size_t count = 0, bytes = 0;
    for (const struct recall_piece *at = first;; at = at->next) {
        bool taken = at->type != BLOCK_CALL || at == call;
        count += taken;
        bytes += taken ? (at == call ? 0 : at->text.len) + at->signature.len : 0;
        if (at == call)
            break;
    }
    size_t total = sizeof(struct recall_entry) + count * sizeof(struct recall_piece) + bytes;
    struct recall_entry *entry = calloc(1, total);
    if (!entry)
        return NULL;
    entry->bytes = total;
    struct recall_piece *pieces = (struct recall_piece *)(entry + 1), **link = &entry->pieces;
    char *to = (char *)(pieces + count);
    for (const struct recall_piece *at = first;; at = at->next) {
        if (at->type != BLOCK_CALL || at == call) {
            *pieces = (struct recall_piece){.type = at->type, .origin = at->origin};
            pieces->text = at == call ? SLICE_NONE : place(&to, at->text);
            pieces->signature = place(&to, at->signature);
            *link = pieces;
            link = &pieces->next;
            pieces++;
        }
        if (at == call)
            break;
    }
    return entry;
}

static int
keep_call(struct recall *recall, const struct recall_watch *watch, const struct recall_piece *call, const struct recall_owner *owner,
          uint64_t now_ms)
{
    struct slice arguments = json_unescape(call->text, watch->arena);
    if (call->text.len > 0 && !slice_present(arguments))
        return -ERR_MEMORY;
    struct key key = key_of(owner, call->id, arguments);
    struct recall_entry *entry = make_entry(watch->first, call);
    if (!entry)
        return -ERR_MEMORY;
    pthread_mutex_lock(&recall->lock);
    struct recall_entry *old = find(recall, &key);
    if (old)
        unlink_entry(recall, old);
    entry->hash = key.hash;
    entry->check = key.check;
    entry->until_ms = now_ms + recall->ttl_ms;
    entry->chain = recall->buckets[key.hash % RECALL_BUCKETS];
    recall->buckets[key.hash % RECALL_BUCKETS] = entry;
    entry->older = recall->newest;
    *(recall->newest ? &recall->newest->newer : &recall->oldest) = entry;
    recall->newest = entry;
    recall->bytes += entry->bytes;
    add(&recall->entries, 1);
    shrink(recall, recall->bytes_max, now_ms);
    pthread_mutex_unlock(&recall->lock);
    return 0;
}

int
recall_init(struct recall *recall)
{
    memset(recall, 0, sizeof(*recall));
    return pthread_mutex_init(&recall->lock, NULL) == 0 ? 0 : -ERR_MEMORY;
}

void
recall_fini(struct recall *recall)
{
    while (recall->oldest)
        unlink_entry(recall, recall->oldest);
    pthread_mutex_destroy(&recall->lock);
}

void
recall_limit(struct recall *recall, size_t bytes_max, uint64_t ttl_ms)
{
    pthread_mutex_lock(&recall->lock);
    recall->bytes_max = ttl_ms ? bytes_max : 0;
    recall->ttl_ms = ttl_ms;
    atomic_store_explicit(&recall->on, recall->bytes_max > 0, memory_order_relaxed);
    shrink(recall, recall->bytes_max, 0);
    pthread_mutex_unlock(&recall->lock);
}

bool
recall_on(const struct recall *recall)
{
    return atomic_load_explicit(&recall->on, memory_order_relaxed);
}

/* ---------------------------------------------------------------- watching a reply */

void
recall_watch_init(struct recall_watch *watch, struct arena *arena)
{
    *watch = (struct recall_watch){.arena = arena};
}

static struct recall_piece *
piece_of(const struct recall_watch *watch, const struct canon_event *event)
{
    struct recall_piece *found = NULL;
    for (struct recall_piece *at = watch->first; at; at = at->next) {
        if (at->block == event->block && !at->closed)
            found = at;
    }
    return found;
}

/* Text grows by doubling: the arena keeps what was outgrown, so at most twice the text. */
static int
append(struct recall_watch *watch, struct recall_piece *piece, struct slice text)
{
    if (text.len == 0)
        return 0;
    if (piece->text.len + text.len > piece->text_room) {
        size_t room = (piece->text.len + text.len) * 2;
        char *grown = arena_take(watch->arena, room);
        if (!grown)
            return -ERR_MEMORY;
        if (piece->text.len > 0)
            memcpy(grown, piece->text.ptr, piece->text.len);
        piece->text.ptr = grown;
        piece->text_room = room;
    }
    memcpy((char *)(uintptr_t)piece->text.ptr + piece->text.len, text.ptr, text.len);
    piece->text.len += text.len;
    return 0;
}

static int
open_piece(struct recall_watch *watch, const struct canon_event *event)
{
    struct recall_piece *piece = arena_take(watch->arena, sizeof(*piece));
    if (!piece)
        return -ERR_MEMORY;
    piece->type = event->type;
    piece->block = event->block;
    piece->origin = event->origin;
    if (event->type == BLOCK_CALL) {
        piece->id = canon_legal_id(event->id, 64, watch->arena);
        if (slice_present(piece->id))
            piece->id = arena_copy(watch->arena, piece->id);
        if (!slice_present(piece->id))
            return -ERR_MEMORY;
    }
    *(watch->last ? &watch->last->next : &watch->first) = piece;
    watch->last = piece;
    return append(watch, piece, event->type == BLOCK_REDACTED ? event->data : SLICE_NONE);
}

static int
sign_piece(struct recall_watch *watch, struct recall_piece *piece, const struct canon_event *event)
{
    if (event->signature.len == 0)
        return 0;
    piece->signature = arena_copy(watch->arena, event->signature);
    piece->origin = event->origin;
    return slice_present(piece->signature) ? 0 : -ERR_MEMORY;
}

static bool
is_state(enum canon_block type)
{
    return type == BLOCK_THINKING || type == BLOCK_REDACTED || type == BLOCK_CALL;
}

/* A call without any state before it or in it is found again in the request itself. */
static int
keep_turn(const struct recall_watch *watch, struct recall *recall, const struct recall_owner *owner, uint64_t now_ms)
{
    bool state = false;
    for (const struct recall_piece *at = watch->first; at; at = at->next) {
        if (at->type != BLOCK_CALL) {
            state = true;
            continue;
        }
        state = state || at->signature.len > 0;
        int error = state && at->closed ? keep_call(recall, watch, at, owner, now_ms) : 0;
        if (error < 0)
            return error;
    }
    return 0;
}

int
recall_watch_events(struct recall_watch *watch, const struct canon_events *events, struct recall *recall,
                    const struct recall_owner *owner, uint64_t now_ms)
{
    int error = 0;
    for (int i = 0; i < events->count && error == 0 && !watch->full; i++) {
        const struct canon_event *event = &events->at[i];
        if (event->choice != 0)
            continue;
        if (event->kind == CANON_FINISH)
            return keep_turn(watch, recall, owner, now_ms);
        bool block = event->kind == CANON_OPEN || event->kind == CANON_DELTA || event->kind == CANON_CLOSE;
        if (!block || !is_state(event->type))
            continue;
        watch->bytes += event->text.len + event->signature.len + event->data.len + 1;
        watch->full = watch->bytes > RECALL_TURN_BYTES_MAX;
        if (event->kind == CANON_OPEN)
            error = open_piece(watch, event);
        struct recall_piece *piece = error == 0 ? piece_of(watch, event) : NULL;
        if (piece && event->kind == CANON_DELTA)
            error = append(watch, piece, event->text);
        if (piece && error == 0)
            error = sign_piece(watch, piece, event);
        if (piece && event->kind == CANON_CLOSE)
            piece->closed = true;
    }
    return error;
}

/* ---------------------------------------------------------------- putting it back */

static bool
has_state(const struct canon_message *message, enum canon_origin origin)
{
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        bool thought = part->kind == PART_THINKING || part->kind == PART_REDACTED;
        if (thought && (origin == ORIGIN_CHAT ? part->text.len > 0 : part->origin == origin && (part->signature.len > 0 || part->data.len > 0)))
            return true;
        if (part->kind == PART_CALL && part->signature.len > 0 && part->origin == origin)
            return true;
    }
    return false;
}

/* Can a thought go to where the request goes? Chat servers want its words, whoever thought them; others what they signed. */
static bool
is_of_use(const struct recall_piece *piece, enum canon_origin origin)
{
    if (origin == ORIGIN_CHAT)
        return piece->type == BLOCK_THINKING && piece->text.len > 0;
    return piece->origin == origin && (piece->type == BLOCK_REDACTED || piece->signature.len > 0);
}

/* Copies what an entry holds into the message: thoughts to the front, the call's signature onto the call. */
static int
put_back(const struct recall_entry *entry, struct canon_message *message, struct canon_part *call, enum canon_origin origin,
         struct arena *arena, bool thoughts)
{
    struct canon_part *first = NULL, **link = &first;
    int mended = 0;
    for (const struct recall_piece *at = entry->pieces; at; at = at->next) {
        struct slice signature = at->signature.len > 0 ? arena_copy(arena, at->signature) : SLICE_NONE;
        if (at->signature.len > 0 && !slice_present(signature))
            return -ERR_MEMORY;
        if (at->type == BLOCK_CALL) {
            if (signature.len == 0 || at->origin != origin || call->signature.len > 0)
                continue;
            call->signature = signature;
            call->origin = at->origin;
            mended = 1;
            continue;
        }
        if (!thoughts || !is_of_use(at, origin))
            continue;
        struct canon_part *part = arena_take(arena, sizeof(*part));
        struct slice text = arena_copy(arena, slice_present(at->text) ? at->text : SLICE_LIT(""));
        if (!part || !slice_present(text))
            return -ERR_MEMORY;
        part->kind = at->type == BLOCK_REDACTED ? PART_REDACTED : PART_THINKING;
        part->origin = at->origin;
        *(at->type == BLOCK_REDACTED ? &part->data : &part->text) = text;
        part->signature = signature;
        *link = part;
        link = &part->next;
        mended = 1;
    }
    *link = message->parts;
    message->parts = first;
    return mended;
}

static int
fill_message(struct recall *recall, struct canon_message *message, const struct recall_owner *owner, enum canon_origin origin,
             uint64_t now_ms, struct arena *arena)
{
    int mended = 0;
    if (message->role != ROLE_ASSISTANT || has_state(message, origin))
        return 0;
    bool thoughts = true; /* the first call's entry has all that was thought before it */
    for (struct canon_part *part = message->parts; part && mended >= 0; part = part->next) {
        if (part->kind != PART_CALL)
            continue;
        struct slice id = canon_legal_id(part->id, 64, arena);
        if (!slice_present(id))
            return -ERR_MEMORY;
        struct slice input = part->custom ? json_unescape(part->text, arena) : part->arguments;
        struct key key = key_of(owner, id, input);
        pthread_mutex_lock(&recall->lock);
        struct recall_entry *entry = find(recall, &key);
        if (entry && entry->until_ms <= now_ms) {
            unlink_entry(recall, entry);
            publish(recall);
            entry = NULL;
        }
        int got = entry ? put_back(entry, message, part, origin, arena, thoughts) : 0;
        pthread_mutex_unlock(&recall->lock);
        add(entry ? &recall->hits : &recall->misses, 1);
        thoughts = thoughts && !entry;
        mended = got < 0 ? got : mended | got;
    }
    return mended;
}

int
recall_fill(struct recall *recall, struct canon_request *request, const struct recall_owner *owner, enum canon_origin origin,
            uint64_t now_ms)
{
    int count = 0;
    for (struct canon_message *at = request->messages; at; at = at->next) {
        int got = fill_message(recall, at, owner, origin, now_ms, request->arena);
        if (got < 0)
            return got;
        count += got;
    }
    return count;
}
