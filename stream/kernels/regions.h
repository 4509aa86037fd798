/* Regions of a picture as small pictures of one size: what regions.c computes and operators.c hands it. */
#ifndef STREAM_REGIONS_H
#define STREAM_REGIONS_H

#include "common.h"

typedef struct {
    ptrdiff_t rows, columns, channels; /* of the picture */
    ptrdiff_t out_rows, out_columns;   /* of each region's */
    ptrdiff_t samples;                 /* along each side of a place, over which a mean is taken */
    int half;                          /* whether pixels' middles lie half a pixel from their corners */
    int planes;                        /* whether an answer's channels lie one after the other, else side by side */
    float scale;                       /* from a box's unit to the picture's pixels */
    float level, out_level;            /* of a level of the picture, and of the answer */
    int zero, out_zero;
} Regions;

/* How many numbers of memory a region takes while it is computed. */
ptrdiff_t stream_region_room(const Regions *how);
/* One region of a picture, whose pixels' channels lie side by side. */
void stream_region(const Regions *how, const u8 *picture, const float box[4], u8 *out, float *room);

#endif
