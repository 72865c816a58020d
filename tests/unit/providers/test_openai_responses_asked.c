/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_asked.c - every recorded request, when the recordings lie beside the
 * repository.
 *
 * Those of the Responses dialect are read and written again with the same words, calls and results;
 * those of the other dialects are written as Responses requests. Whatever is refused is refused by
 * name.
 */
#include "tests/unit/providers/responding.h"

#include <dirent.h>
#include <stdlib.h>

struct tally {
    int good, refused, bad, others;
};

static const char *
recordings(void)
{
    const char *root = getenv("PENSTOCK_RECORDINGS");
    return root ? root : "../shared/recordings";
}

static char *
read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *room = malloc(8u << 20);
    assert_non_null(file);
    assert_non_null(room);
    room[fread(room, 1, (8u << 20) - 1, file)] = '\0';
    (void)fclose(file);
    return room;
}

/* The dialect of a recorded request, by what it holds; NULL: none of ours (embeddings, Bedrock). */
static const struct dialect *
dialect_of_request(const char *path, struct json root)
{
    if (strstr(path, "embedding") || json_present(json_get(root, "encoding_format")) ||
        json_present(json_get(root, "dimensions")))
        return NULL;
    if (!json_present(json_get(root, "model")))
        return NULL;
    if (json_present(json_get(root, "input")))
        return &openai_responses_dialect;
    if (!json_present(json_get(root, "messages")))
        return NULL;
    return strstr(path, "/anthropic/") || json_present(json_get(root, "anthropic_version"))
               ? &anthropic_dialect
               : &openai_chat_dialect;
}

/* What a request says, whoever wrote it: roles and texts, names and arguments, outputs. */
static void
gather(struct sink *out, const struct canon_request *request)
{
    for (const struct canon_message *message = request->messages; message;
         message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            struct slice id = SLICE_NONE;
            if (part->kind == PART_NATIVE)
                continue;
            if (slice_present(part->id))
                id = canon_legal_id(part->id, RESPONSES_ID_MAX, request->arena);
            sink_printf(out, "%d %d %.*s %.*s %.*s %.*s\n", (int)message->role, (int)part->kind,
                        SLICE_ARG(part->text), SLICE_ARG(part->name), SLICE_ARG(part->arguments),
                        SLICE_ARG(id));
            for (const struct canon_part *inner = part->parts; inner; inner = inner->next)
                sink_printf(out, "  %.*s %zu\n", SLICE_ARG(inner->text), inner->data.len);
        }
    }
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next)
        sink_printf(out, "%.*s %.*s %.*s\n", SLICE_ARG(tool->name), SLICE_ARG(tool->description),
                    SLICE_ARG(tool->schema));
}

/* Read, written and read again it says the same. */
static bool
says_the_same(const struct asking *asking)
{
    struct asking again;
    struct sink first, second;
    asking_read(&again, &openai_responses_dialect, asking->out.ptr);
    sink_init(&first, 16u << 20);
    sink_init(&second, 16u << 20);
    gather(&first, &asking->request);
    gather(&second, &again.request);
    bool same = again.error == 0 && slice_eq(sink_slice(&first), sink_slice(&second));
    if (!same)
        print_error("%d\n%.*s\n  became\n%.*s\n", again.error, SLICE_ARG(sink_slice(&first)),
                    SLICE_ARG(sink_slice(&second)));
    sink_fini(&first);
    sink_fini(&second);
    asking_close(&again);
    return same;
}

static void
judge(const char *path, struct tally *tally)
{
    char *body = read_all(path);
    struct arena arena;
    struct json root;
    struct asking asking;
    arena_init(&arena, 64u << 20);
    const struct dialect *client = NULL;
    if (json_parse(slice_from(body), 64, 1u << 20, &arena, &root) == 0)
        client = dialect_of_request(path, root);
    if (!client) {
        tally->others++;
        free(body);
        arena_fini(&arena);
        return;
    }
    asking_read(&asking, client, body);
    struct dialect_upstream upstream = official;
    upstream.replay_reasoning = true; /* some of them keep no other state */
    asking_write(&asking, &openai_responses_dialect, &upstream);
    bool named = asking.error == -ERR_UNSUPPORTED && asking.fault.param.len > 0 &&
                 asking.fault.message.len > 0;
    bool same =
        asking.error == 0 && (client != &openai_responses_dialect || says_the_same(&asking));
    tally->good += same;
    tally->refused += named;
    tally->bad += !same && !named;
    if (named && getenv("PENSTOCK_VERBOSE"))
        printf("%s: %.*s\n", path, SLICE_ARG(asking.fault.message));
    if (!same && !named)
        print_error("%s: %d %.*s at %.*s\n", path, asking.error, SLICE_ARG(asking.fault.message),
                    SLICE_ARG(asking.fault.param));
    asking_close(&asking);
    arena_fini(&arena);
    free(body);
}

static void
judge_folder(const char *family, struct tally *tally)
{
    char folder[512], path[1024];
    (void)snprintf(folder, sizeof(folder), "%s/%s", recordings(), family);
    DIR *listing = opendir(folder);
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        if (!strstr(entry->d_name, ".request.json"))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        judge(path, tally);
    }
    if (listing)
        (void)closedir(listing);
}

static void
writes_recorded_requests(void **state)
{
    (void)state;
    struct tally tally = {0};
    DIR *families = opendir(recordings());
    for (struct dirent *entry = families ? readdir(families) : NULL; entry;
         entry = readdir(families)) {
        if (entry->d_name[0] != '.' && !strchr(entry->d_name, '.'))
            judge_folder(entry->d_name, &tally);
    }
    if (families)
        (void)closedir(families);
    printf(
        "recorded requests for a Responses upstream: %d written, %d refused by name, %d others\n",
        tally.good, tally.refused, tally.others);
    assert_int_equal(tally.bad, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_recorded_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
