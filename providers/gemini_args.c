/* SPDX-License-Identifier: MIT
 *
 * gemini_args.c - a tree of values that grows by paths, and its JSON text.
 */
#include "providers/gemini_args.h"

#include "base/text.h"

enum node_kind { NODE_EMPTY, NODE_OBJECT, NODE_ARRAY, NODE_STRING, NODE_VALUE };

struct piece {
    struct piece *next;
    struct slice text; /* escaped */
};

struct gemini_node {
    struct gemini_node *parent, *next, *first, *last;
    struct slice key; /* of an object's member: decoded */
    uint64_t index;   /* of an array's element */
    enum node_kind kind;
    struct slice value;          /* JSON of a number, a word */
    struct piece *text, *latest; /* of a string */
};

/* One step of a path. */
struct step {
    bool is_index;
    struct slice key;
    uint64_t index;
};

void
gemini_args_init(struct gemini_args *args, struct arena *arena)
{
    *args = (struct gemini_args){.arena = arena};
}

static struct gemini_node *
new_node(struct gemini_args *args, struct gemini_node *parent)
{
    struct gemini_node *node = arena_take(args->arena, sizeof(*node));
    if (node) {
        node->parent = parent;
        args->nodes++;
    }
    return node;
}

/* ---------------------------------------------------------------- paths */

/* ['name'] or ["name"], with backslashes before what needs them; path stands behind the bracket. */
static bool
quoted_step(struct slice *path, struct arena *arena, struct step *step)
{
    char quote = path->ptr[0];
    char *name = arena_take(arena, path->len);
    size_t at = 1, n = 0;
    while (name && at < path->len && path->ptr[at] != quote) {
        at += path->ptr[at] == '\\' && at + 1 < path->len;
        name[n++] = path->ptr[at++];
    }
    if (!name || at + 1 >= path->len || path->ptr[at + 1] != ']')
        return false;
    step->key = slice_of(name, n);
    *path = slice_skip(*path, at + 2);
    return true;
}

/* The next step of a path; false when it cannot be read. */
static bool
next_step(struct slice *path, struct arena *arena, struct step *step)
{
    *step = (struct step){0};
    char first = path->ptr[0];
    *path = slice_skip(*path, 1);
    if (first == '[' && path->len > 0 && (path->ptr[0] == '\'' || path->ptr[0] == '"'))
        return quoted_step(path, arena, step);
    size_t n = 0;
    if (first == '[') {
        while (n < path->len && path->ptr[n] != ']')
            n++;
        step->is_index = true;
        bool is_number = n < path->len && text_u64(slice_take(*path, n), &step->index);
        *path = slice_skip(*path, n + 1);
        return is_number && step->index < GEMINI_ARGS_NODES_MAX;
    }
    while (n < path->len && path->ptr[n] != '.' && path->ptr[n] != '[')
        n++;
    step->key = slice_take(*path, n);
    *path = slice_skip(*path, n);
    return first == '.' && n > 0;
}

static bool
is_child(const struct gemini_node *node, const struct step *step)
{
    return step->is_index ? node->index == step->index : slice_eq(node->key, step->key);
}

/* Behind the last child, or, in an array, where its index belongs. */
static void
insert_child(struct gemini_node *parent, struct gemini_node *child, bool is_element)
{
    struct gemini_node **link = &parent->first;
    while (*link && !(is_element && (*link)->index > child->index))
        link = &(*link)->next;
    child->next = *link;
    *link = child;
    if (!child->next)
        parent->last = child;
}

static int
descend(struct gemini_args *args, struct gemini_node **node, const struct step *step)
{
    struct gemini_node *parent = *node;
    enum node_kind kind = step->is_index ? NODE_ARRAY : NODE_OBJECT;
    if (parent->kind == NODE_EMPTY)
        parent->kind = kind;
    if (parent->kind != kind)
        return -ERR_UPSTREAM_PROTOCOL;
    struct gemini_node *child =
        parent->last && is_child(parent->last, step) ? parent->last : parent->first;
    while (child && !is_child(child, step))
        child = child->next;
    if (!child) {
        if (args->nodes >= GEMINI_ARGS_NODES_MAX)
            return -ERR_UPSTREAM_TOO_LARGE;
        child = new_node(args, parent);
        if (!child)
            return -ERR_MEMORY;
        child->index = step->index;
        child->key = step->is_index ? SLICE_NONE : arena_copy(args->arena, step->key);
        if (!step->is_index && !slice_present(child->key))
            return -ERR_MEMORY;
        insert_child(parent, child, step->is_index);
    }
    *node = child;
    return 0;
}

static int
find_node(struct gemini_args *args, struct slice path, struct gemini_node **node)
{
    int depth = 0;
    if (path.len < 2 || path.ptr[0] != '$')
        return -ERR_UPSTREAM_PROTOCOL;
    if (!args->root)
        args->root = new_node(args, NULL);
    if (!args->root)
        return -ERR_MEMORY;
    args->root->kind = NODE_OBJECT;
    *node = args->root;
    path = slice_skip(path, 1);
    while (path.len > 0) {
        struct step step;
        if (++depth > GEMINI_ARGS_DEPTH_MAX || !next_step(&path, args->arena, &step))
            return -ERR_UPSTREAM_PROTOCOL;
        int error = descend(args, node, &step);
        if (error)
            return error;
    }
    return 0;
}

/* ---------------------------------------------------------------- values */

static int
add_text(struct gemini_args *args, struct gemini_node *node, struct slice text)
{
    if (node->kind != NODE_EMPTY && node->kind != NODE_STRING)
        return -ERR_UPSTREAM_PROTOCOL;
    node->kind = NODE_STRING;
    if (text.len == 0)
        return 0;
    struct piece *piece = arena_take(args->arena, sizeof(*piece));
    if (!piece)
        return -ERR_MEMORY;
    piece->text = arena_copy(args->arena, text);
    if (!slice_present(piece->text))
        return -ERR_MEMORY;
    if (node->latest)
        node->latest->next = piece;
    else
        node->text = piece;
    node->latest = piece;
    return 0;
}

static int
set_value(struct gemini_args *args, struct gemini_node *node, struct slice value)
{
    if (node->kind != NODE_EMPTY && node->kind != NODE_VALUE)
        return -ERR_UPSTREAM_PROTOCOL;
    node->kind = NODE_VALUE;
    node->value = arena_copy(args->arena, value);
    return slice_present(node->value) ? 0 : -ERR_MEMORY;
}

int
gemini_args_take(struct gemini_args *args, struct json partial)
{
    struct gemini_node *node;
    struct json text = json_get(partial, "stringValue"), number = json_get(partial, "numberValue");
    struct json truth = json_get(partial, "boolValue"), nothing = json_get(partial, "nullValue");
    args->bytes += json_raw(partial).len;
    if (args->bytes > GEMINI_ARGS_BYTES_MAX)
        return -ERR_UPSTREAM_TOO_LARGE;
    int error = find_node(args, json_string(json_get(partial, "jsonPath"), args->arena), &node);
    if (error)
        return error;
    if (json_type(text) == JSON_STRING)
        return add_text(args, node, json_text(text));
    if (json_type(number) == JSON_NUMBER)
        return set_value(args, node, json_raw(number));
    if (json_type(truth) == JSON_TRUE || json_type(truth) == JSON_FALSE)
        return set_value(args, node, json_raw(truth));
    if (json_present(nothing))
        return set_value(args, node, SLICE_LIT("null"));
    return 0; /* a place without a value yet */
}

/* ---------------------------------------------------------------- writing */

static void
put_scalar(const struct gemini_node *node, struct sink *out)
{
    if (node->kind == NODE_STRING) {
        sink_byte(out, '"');
        for (const struct piece *at = node->text; at; at = at->next)
            sink_put(out, at->text);
        sink_byte(out, '"');
    } else {
        sink_put(out, node->kind == NODE_VALUE ? node->value : SLICE_LIT("null"));
    }
}

/* What stands before a node's value: a comma, its name, or nulls for elements that never came. */
static void
put_lead(const struct gemini_node *node, const struct gemini_node *before, struct sink *out)
{
    if (!node->parent)
        return;
    if (before)
        sink_byte(out, ',');
    if (node->parent->kind == NODE_ARRAY) {
        for (uint64_t i = before ? before->index + 1 : 0; i < node->index; i++)
            sink_text(out, "null,");
        return;
    }
    sink_byte(out, '"');
    json_escape(out, node->key);
    sink_text(out, "\":");
}

void
gemini_args_put(const struct gemini_args *args, bool complete, struct sink *out)
{
    const struct gemini_node *node = args->root, *before = NULL;
    if (!node)
        sink_byte(out, '{');
    while (node) {
        put_lead(node, before, out);
        bool holds = node->kind == NODE_OBJECT || node->kind == NODE_ARRAY;
        if (holds)
            sink_byte(out, node->kind == NODE_OBJECT ? '{' : '[');
        else
            put_scalar(node, out);
        before = NULL;
        if (node->first) {
            node = node->first;
            continue;
        }
        /* Up until something follows, closing what is left behind; the root's brace is put below.
         */
        while (node) {
            if ((node->kind == NODE_OBJECT || node->kind == NODE_ARRAY) && node->parent)
                sink_byte(out, node->kind == NODE_OBJECT ? '}' : ']');
            before = node;
            if (node->next) {
                node = node->next;
                break;
            }
            node = node->parent;
        }
    }
    if (complete)
        sink_byte(out, '}');
}
