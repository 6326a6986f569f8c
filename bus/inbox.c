#include "bus/inbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

void inbox_init(struct inbox *inbox, size_t frames_max, size_t bytes_max)
{
    memset(inbox, 0, sizeof *inbox);
    inbox->frames_max = frames_max;
    inbox->bytes_max = bytes_max;
}

void inbox_fini(struct inbox *inbox)
{
    free(inbox->slots);
    memset(inbox, 0, sizeof *inbox);
}

/* Doubles the ring and straightens it. */
static bool grow(struct inbox *inbox)
{
    size_t room = inbox->room ? inbox->room * 2 : ROOM_FIRST;
    struct inbox_slot *slots = calloc(room, sizeof *slots);
    if (!slots)
        return false;
    assert(inbox->room || !inbox->count);
    for (size_t i = 0; i < inbox->count; i++)
        slots[i] = inbox->slots[(inbox->head + i) % inbox->room];
    free(inbox->slots);
    inbox->slots = slots;
    inbox->room = room;
    inbox->head = 0;
    return true;
}

static bool fits(struct inbox *inbox, size_t bytes)
{
    if (inbox->count >= inbox->frames_max || bytes > inbox->bytes_max - inbox->bytes)
        return false;
    return inbox->count < inbox->room || grow(inbox);
}

bool inbox_push(struct inbox *inbox, void *frame, size_t bytes)
{
    if (!fits(inbox, bytes)) {
        inbox->dropped++;
        return false;
    }
    inbox->slots[(inbox->head + inbox->count) % inbox->room] = (struct inbox_slot){frame, bytes};
    inbox->count++;
    inbox->bytes += bytes;
    return true;
}

void *inbox_pop(struct inbox *inbox)
{
    if (!inbox->count)
        return NULL;
    struct inbox_slot *slot = &inbox->slots[inbox->head];
    inbox->bytes -= slot->bytes;
    inbox->head = (inbox->head + 1) % inbox->room;
    inbox->count--;
    return slot->frame;
}
