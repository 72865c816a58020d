/* SPDX-License-Identifier: MIT
 *
 * test_list.c - order, removal from anywhere, moving whole lists.
 */
#include "base/list.h"

#include "tests/unit/base/support.h"

struct item {
    int number;
    struct list node;
};

/* The numbers on the list, as one decimal number; checks the way back, too. */
static int
numbers(struct list *head)
{
    int value = 0;
    for (struct list *node = head->next; node != head; node = node->next) {
        assert_ptr_equal(node->next->prev, node);
        value = value * 10 + list_entry(node, struct item, node)->number;
    }
    return value;
}

static void
items_keep_their_order(void **state)
{
    (void)state;
    struct list head, other;
    struct item items[5];
    list_init(&head);
    list_init(&other);
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        list_init(&items[i].node);
        assert_false(list_linked(&items[i].node));
    }
    list_push_back(&head, &items[0].node);
    list_push_back(&head, &items[1].node);
    list_push_front(&head, &items[2].node);
    assert_int_equal(numbers(&head), 312);
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    assert_int_equal(numbers(&head), 32);
    list_push_back(&other, &items[3].node);
    list_push_back(&other, &items[4].node);
    list_move_all(&head, &other);
    assert_int_equal(numbers(&head), 3245);
    assert_true(list_empty(&other));
    list_move_all(&head, &other);
    assert_ptr_equal(list_pop(&head), &items[2].node);
    assert_false(list_linked(&items[2].node));
    assert_int_equal(numbers(&head), 245);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(items_keep_their_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
