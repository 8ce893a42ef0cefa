#pragma once
/* Intrusive lists: the node is part of the object, so linking never allocates and never fails. */

#include <stdbool.h>
#include <stddef.h>

/* Doubly linked, circular through its head. A node in no list points at itself. */
struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_unlink(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_pop(struct list *head)
{
    struct list *node = head->next;
    if (node == head) return NULL;
    list_unlink(node);
    return node;
}

/* Appends every node of `from` to `to` and empties `from`. */
static inline void list_splice(struct list *from, struct list *to)
{
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

/* Moves every node of `from` to `to`, which may be uninitialised, and empties `from`. */
static inline void list_move(struct list *from, struct list *to)
{
    list_init(to);
    list_splice(from, to);
}

/* Like list_push, but at the front. */
static inline void list_push_front(struct list *head, struct list *node)
{
    struct list *first = head->next;
    node->next = first;
    node->prev = head;
    first->prev = node;
    head->next = node;
}

/* Singly linked queue. All bytes zero is an empty one. */
struct fifo_node {
    struct fifo_node *next;
};

struct fifo {
    struct fifo_node *head, *tail;
};

static inline void fifo_push(struct fifo *f, struct fifo_node *n)
{
    n->next = NULL;
    if (f->tail)
        f->tail->next = n;
    else
        f->head = n;
    f->tail = n;
}

static inline struct fifo_node *fifo_pop(struct fifo *f)
{
    struct fifo_node *n = f->head;
    if (!n) return NULL;
    f->head = n->next;
    if (!f->head) f->tail = NULL;
    return n;
}
