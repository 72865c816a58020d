/* SPDX-License-Identifier: MIT
 *
 * config_yaml.c - a YAML text into a tree of nodes with positions, over libyaml's events.
 *
 * libyaml neither rejects duplicate keys nor expands aliases nor limits depth: that is done here.
 * An alias shares the children of its anchor, and every node knows its weight with aliases counted,
 * so a small file cannot become a large tree. "<<" merges maps, where the map's own keys win.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#include <yaml.h>

#include <stdlib.h>

#define MERGE_KEYS_MAX 1000u
#define ANCHORS_MAX 1000u   /* each alias walks them */
#define DIRECTIVES_MAX 100u /* libyaml compares each with all before it */

struct anchor {
    struct anchor *next;
    struct slice name;
    struct config_node *node;
};

struct build {
    struct config_loader *loader;
    struct config_node *open[CONFIG_DEPTH_MAX]; /* containers not yet ended, outermost first */
    int depth;
    struct config_node *root;
    struct config_node key; /* read, its value not yet */
    bool has_key;
    struct anchor *anchors;
    uint32_t anchor_count;
    uint32_t nodes;
    bool failed;
};

static void
fail(struct build *build, const struct config_node *at, const char *text)
{
    config_problem_at(build->loader, false, at, false, "%s", text);
    build->failed = true;
}

static struct config_node
node_of(enum config_node_kind kind, const yaml_event_t *event)
{
    return (struct config_node){.kind = kind,
                                .line = (uint32_t)event->start_mark.line + 1,
                                .column = (uint32_t)event->start_mark.column + 1,
                                .weight = 1};
}

static struct slice
keep(struct build *build, struct slice text)
{
    struct slice copy = arena_copy(&build->loader->scratch, text);
    if (!slice_present(copy))
        fail(build, NULL, "the file needs too much memory");
    return copy;
}

/* Puts a copy of the node where the next value belongs, and gives that copy. */
static struct config_node *
attach(struct build *build, const struct config_node *value)
{
    struct config_node *node = arena_take(&build->loader->scratch, sizeof(*node));
    build->nodes += value->weight;
    if (node == NULL || build->nodes > CONFIG_NODES_MAX) {
        fail(build, value, "the file has too many values");
        return NULL;
    }
    *node = *value;
    node->next = NULL;
    if (build->depth == 0) {
        node->parent = NULL;
        build->root = node;
        return node;
    }
    struct config_node *parent = build->open[build->depth - 1];
    node->parent = parent;
    node->index = parent->last != NULL ? parent->last->index + 1 : 0;
    if (parent->kind == NODE_MAP) {
        assert(build->has_key);
        node->key = build->key.text;
        node->key_line = build->key.line;
        node->key_column = build->key.column;
        build->has_key = false;
    }
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->child = node;
    parent->last = node;
    return node;
}

static bool
key_wanted(const struct build *build)
{
    return build->depth > 0 && build->open[build->depth - 1]->kind == NODE_MAP && !build->has_key;
}

static void
remember(struct build *build, const yaml_char_t *name, struct config_node *node)
{
    if (name == NULL || node == NULL || build->failed)
        return;
    if (++build->anchor_count > ANCHORS_MAX) {
        fail(build, node, "too many anchors");
        return;
    }
    struct anchor *anchor = arena_take(&build->loader->scratch, sizeof(*anchor));
    if (anchor == NULL) {
        fail(build, node, "the file needs too much memory");
        return;
    }
    anchor->name = keep(build, slice_from((const char *)name));
    anchor->node = node;
    anchor->next = build->anchors;
    build->anchors = anchor;
}

/* Is the tag one of the standard ones, or none? Others would need code to mean anything. */
static bool
tag_known(const yaml_char_t *tag)
{
    return tag == NULL || strncmp((const char *)tag, "tag:yaml.org,2002:", 18) == 0 ||
           strcmp((const char *)tag, "!") == 0;
}

static void
on_scalar(struct build *build, const yaml_event_t *event)
{
    struct config_node node = node_of(NODE_SCALAR, event);
    const char *tag = (const char *)event->data.scalar.tag;
    if (!tag_known(event->data.scalar.tag)) {
        fail(build, &node, "tags are not supported here");
        return;
    }
    node.plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                 (tag == NULL || strcmp(tag, YAML_STR_TAG) != 0);
    node.text = keep(build, slice_of(event->data.scalar.value, event->data.scalar.length));
    if (build->failed)
        return;
    if (memchr(node.text.ptr, '\0', node.text.len) != NULL) {
        fail(build, &node, "a NUL character in a text");
        return;
    }
    if (!key_wanted(build)) {
        remember(build, event->data.scalar.anchor, attach(build, &node));
        return;
    }
    build->key = node;
    build->has_key = true;
}

static void
on_start(struct build *build, const yaml_event_t *event)
{
    bool map = event->type == YAML_MAPPING_START_EVENT;
    struct config_node node = node_of(map ? NODE_MAP : NODE_LIST, event);
    if (!tag_known(map ? event->data.mapping_start.tag : event->data.sequence_start.tag)) {
        fail(build, &node, "tags are not supported here");
        return;
    }
    if (key_wanted(build)) {
        fail(build, &node, "a key must be a text");
        return;
    }
    if (build->depth == CONFIG_DEPTH_MAX) {
        fail(build, &node, "nested too deeply");
        return;
    }
    struct config_node *made = attach(build, &node);
    if (made == NULL)
        return;
    remember(build, map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
             made);
    build->open[build->depth++] = made;
}

static void
on_alias(struct build *build, const yaml_event_t *event)
{
    struct config_node node = node_of(NODE_SCALAR, event);
    const struct anchor *anchor = build->anchors;
    struct slice name = slice_from((const char *)event->data.alias.anchor);
    while (anchor != NULL && !slice_eq(anchor->name, name))
        anchor = anchor->next;
    if (anchor == NULL) {
        fail(build, &node, "an alias without its anchor before it");
        return;
    }
    for (int i = 0; i < build->depth; i++)
        if (build->open[i] == anchor->node) {
            fail(build, &node, "an alias inside its own anchor");
            return;
        }
    struct config_node copy = *anchor->node;
    copy.line = node.line;
    copy.column = node.column;
    if (!key_wanted(build)) {
        (void)attach(build, &copy);
    } else if (copy.kind == NODE_SCALAR) {
        build->key = copy;
        build->has_key = true;
    } else {
        fail(build, &node, "a key must be a text");
    }
}

static int
compare_keys(const void *left, const void *right)
{
    const struct config_node *a = *(const struct config_node *const *)left;
    const struct config_node *b = *(const struct config_node *const *)right;
    size_t common = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.ptr, b->key.ptr, common);
    if (order == 0 && a->key.len != b->key.len)
        order = a->key.len < b->key.len ? -1 : 1;
    if (order == 0)
        order = a->index < b->index ? -1 : a->index > b->index;
    return order;
}

static void
check_duplicates(struct build *build, const struct config_node *map)
{
    size_t count = 0;
    for (const struct config_node *child = map->child; child != NULL; child = child->next)
        count++;
    if (count < 2)
        return;
    const struct config_node **sorted =
        arena_take(&build->loader->scratch, count * sizeof(*sorted));
    if (sorted == NULL) {
        fail(build, map, "the file needs too much memory");
        return;
    }
    size_t n = 0;
    for (const struct config_node *child = map->child; child != NULL; child = child->next)
        sorted[n++] = child;
    qsort(sorted, count, sizeof(*sorted), compare_keys);
    for (size_t i = 1; i < count; i++)
        if (slice_eq(sorted[i - 1]->key, sorted[i]->key) && !slice_is(sorted[i]->key, "<<")) {
            config_problem_at(build->loader, false, sorted[i], true,
                              "this key stands here twice; first in line %u",
                              sorted[i - 1]->key_line);
            build->failed = true;
        }
}

static uint32_t
child_count(const struct config_node *node)
{
    return node->last != NULL ? node->last->index + 1 : 0;
}

/* Appends to map what from has and map has not. The work is the product of the sizes: both are
 * bounded. */
static void
merge_one(struct build *build, struct config_node *map, const struct config_node *from)
{
    if (from->kind != NODE_MAP) {
        fail(build, from, "\"<<\" needs a map, or a list of maps");
        return;
    }
    if (child_count(from) > MERGE_KEYS_MAX || child_count(map) > MERGE_KEYS_MAX) {
        fail(build, from, "too many keys to merge");
        return;
    }
    for (const struct config_node *child = from->child; child != NULL && !build->failed;
         child = child->next) {
        const struct config_node *own = map->child;
        while (own != NULL && !slice_eq(own->key, child->key))
            own = own->next;
        if (own != NULL)
            continue;
        struct config_node *copy = arena_take(&build->loader->scratch, sizeof(*copy));
        build->nodes += child->weight;
        if (copy == NULL || build->nodes > CONFIG_NODES_MAX) {
            fail(build, from, "the file has too many values");
            return;
        }
        *copy = *child;
        copy->parent = map;
        copy->next = NULL;
        copy->index = map->last->index + 1;
        map->last->next = copy;
        map->last = copy;
    }
}

static void
merge(struct build *build, struct config_node *map)
{
    for (struct config_node **at = &map->child; *at != NULL && !build->failed;) {
        struct config_node *child = *at;
        if (!slice_is(child->key, "<<")) {
            at = &child->next;
            continue;
        }
        if (child->kind == NODE_LIST)
            for (struct config_node *each = child->child; each != NULL; each = each->next)
                merge_one(build, map, each);
        else
            merge_one(build, map, child);
        *at = child->next;
        if (map->last == child) {
            map->last = map->child;
            while (map->last != NULL && map->last->next != NULL)
                map->last = map->last->next;
        }
    }
}

static void
on_end(struct build *build)
{
    struct config_node *node = build->open[--build->depth];
    if (node->kind == NODE_MAP) {
        check_duplicates(build, node);
        if (!build->failed)
            merge(build, node);
    }
    node->weight = 1;
    for (const struct config_node *child = node->child; child != NULL; child = child->next)
        node->weight += child->weight;
}

/* One event; false when the document is over. */
static bool
on_event(struct build *build, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        on_scalar(build, event);
        return true;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        on_start(build, event);
        return true;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(build);
        return true;
    case YAML_ALIAS_EVENT:
        on_alias(build, event);
        return true;
    case YAML_DOCUMENT_START_EVENT:
        if (build->root != NULL) {
            struct config_node at = node_of(NODE_SCALAR, event);
            fail(build, &at, "one document is read, this is a second");
        }
        return true;
    case YAML_STREAM_END_EVENT:
        return false;
    default:
        return true;
    }
}

static void
syntax_error(struct build *build, const yaml_parser_t *parser)
{
    struct config_node at = {.line = (uint32_t)parser->problem_mark.line + 1,
                             .column = (uint32_t)parser->problem_mark.column + 1};
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR)
        config_problem_at(build->loader, false, NULL, false, "%s at byte %zu", problem,
                          parser->problem_offset);
    else
        config_problem_at(build->loader, false, &at, false, "not YAML: %s", problem);
    build->failed = true;
}

static bool
too_many_directives(struct slice text)
{
    uint32_t count = 0;
    while (slice_present(text) && count <= DIRECTIVES_MAX)
        count += slice_starts(text_split(&text, '\n'), SLICE_LIT("%"));
    return count > DIRECTIVES_MAX;
}

struct config_node *
config_yaml_read(struct config_loader *loader, struct slice text)
{
    struct build build = {.loader = loader};
    yaml_parser_t parser;
    if (too_many_directives(text)) {
        fail(&build, NULL, "too many lines that begin with %");
        return NULL;
    }
    if (!yaml_parser_initialize(&parser)) {
        fail(&build, NULL, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    for (bool more = true; more && !build.failed;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            syntax_error(&build, &parser);
            break;
        }
        more = on_event(&build, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (build.failed)
        return NULL;
    if (build.root == NULL) {
        build.root = arena_take(&loader->scratch, sizeof(*build.root));
        if (build.root == NULL) {
            fail(&build, NULL, "out of memory");
            return NULL;
        }
        *build.root = (struct config_node){.kind = NODE_MAP, .line = 1, .column = 1, .weight = 1};
    }
    return build.root;
}
