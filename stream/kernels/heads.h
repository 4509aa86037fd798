/* Float layers whose places see their own pixel of bytes alone: what heads.c computes and operators.c hands it. */
#ifndef STREAM_HEADS_H
#define STREAM_HEADS_H

#include "convolve.h"

enum { HEAD_ANSWERS = 16, HEAD_CHANNELS = 128 }; /* of a place, and of a pixel, at most */

typedef struct {
    ptrdiff_t channels;
    float level;           /* of the pictures' bytes */
    int zero;
    const float *filters;  /* for each channel HEAD_ANSWERS */
    const float *bias;     /* HEAD_ANSWERS */
    ptrdiff_t first, second; /* how many answers go to the one and to the other */
} Head;

/* Places one after the other; VNNI's processors only. */
void stream_head(const Head *head, const u8 *places, ptrdiff_t count, float *first, float *second);

#endif
