/* SPDX-License-Identifier: MIT
 *
 * list.h - intrusive doubly linked list. A node that is on no list points at itself.
 */
#ifndef PENSTOCK_LIST_H
#define PENSTOCK_LIST_H

#include "base/base.h"

struct list {
    struct list *next, *prev;
};

static inline void
list_init(struct list *node)
{
    node->next = node->prev = node;
}

static inline bool
list_empty(const struct list *node)
{
    return node->next == node;
}

/* list_linked - is this node on some list? The node must have been initialised. */
static inline bool
list_linked(const struct list *node)
{
    return node->next != node;
}

static inline void
list_push_back(struct list *head, struct list *node)
{
    assert(!list_linked(node));
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void
list_push_front(struct list *head, struct list *node)
{
    list_push_back(head->next, node);
}

/* list_remove - take the node off its list; harmless if it is on none. */
static inline void
list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* list_pop - take the first node, or NULL if the list is empty. */
static inline struct list *
list_pop(struct list *head)
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* list_move_all - append everything on from to head, leaving from empty. */
static inline void
list_move_all(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

#endif
