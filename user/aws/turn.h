/* SPDX-License-Identifier: MIT */
/* One at a time changes a stack, wherever they sit: a tag of its VPC says who, and until when. */
#ifndef OHGUARD_AWS_TURN_H
#define OHGUARD_AWS_TURN_H

#include <stdio.h>

#include "aws/stack.h"

#define TURN_SECONDS 1200	/* longer than any single step of apply or destroy */

/* fd: of the lock on the state folder, by which a run knows what a dead one of the same folder left. force: whoever
 * holds it. Where there is no VPC yet, its creation takes the lock. -EBUSY: somebody else has it. */
int turn_take(struct stack_view *v, int fd, bool force, struct error *e);

/* Makes sure that it is still ours, for at least this long from now. */
int turn_hold(struct stack_view *v, unsigned int seconds, struct error *e);

/* Of two first applies at once, each sees that its new VPC is not alone. 1: ours was taken away again, so begin anew;
 * 0: go on. */
int turn_alone(struct stack_view *v, FILE *progress, struct error *e);

void turn_release(struct stack_view *v);

/* The tag, as more_tags of change_tags(): "" where no lock is to be taken. */
void turn_words(struct stack_view *v, char ret[192]);

/* Who holds it now, "" if nobody does. */
void turn_holder(const doc *vpc, char ret[128]);

#endif
