/* Which colours objects have: what stream/tracking/appearance.py counts, in one pass. */
#include "common.h"

#define DESCALED(sum) (((sum) + (1 << 13)) >> 14)

INLINE int within(int value, int most) { return value < 0 ? 0 : value < most ? value : most; }

/* The pixel a cell lies on, in a smaller picture of which `count` are there; -1 where it is not in the picture. */
INLINE int32_t pixel_of(float from, float extent, int64_t cell, int64_t cells, int64_t side, double scale,
                        double offset, int64_t count) {
    const double at = (double)from + ((double)cell + 0.5) / (double)cells * (double)extent;
    if (!(at >= 0 && at < (double)side)) return -1;
    const int64_t pixel = (int64_t)(at / scale + offset);
    return (int32_t)(pixel < 0 ? 0 : pixel < count ? pixel : count - 1);
}

/* Counts the colours of one pixel for each cell of a mask that is the object's.
 *
 * sides: of the picture, rows and columns; of what there is of it likewise, whose rows lie `stride` bytes apart.
 * placed: pixels of the picture for each of those, x and y, and where it begins in them.
 * steps: how many steps of brightness are told apart, and of each colour difference; counts: as many for each object,
 * zeros; room: a number for each column of a mask. */
EXPORT void stream_colours(const float *masks, const float *boxes, int64_t count, int64_t rows, int64_t columns,
                           float threshold, const int64_t *sides, const u8 *rgb, ptrdiff_t stride,
                           const double *placed, const int64_t *steps, int32_t *counts, int32_t *room) {
    const int levels = (int)steps[0], hues = (int)steps[1];
    for (int64_t one = 0; one < count; one++, boxes += 4, counts += (ptrdiff_t)levels * hues * hues) {
        for (int64_t x = 0; x < columns; x++)
            room[x] = pixel_of(boxes[0], boxes[2] - boxes[0], x, columns, sides[1], placed[0], placed[2], sides[3]);
        for (int64_t y = 0; y < rows; y++, masks += columns) {
            const int32_t row = pixel_of(boxes[1], boxes[3] - boxes[1], y, rows, sides[0], placed[1], placed[3], sides[2]);
            if (row < 0) continue;
            for (int64_t x = 0; x < columns; x++) {
                if (!(masks[x] > threshold) || room[x] < 0) continue;
                const u8 *pixel = rgb + row * stride + 3 * (ptrdiff_t)room[x];
                const int r = pixel[0], g = pixel[1], b = pixel[2];
                const int luma = DESCALED(4899 * r + 9617 * g + 1868 * b);
                const int u = DESCALED(8061 * (b - luma)) + 64, v = DESCALED(14369 * (r - luma)) + 64;
                counts[(luma * levels / 256 * hues + within(u * hues >> 7, hues - 1)) * hues +
                       within(v * hues >> 7, hues - 1)]++;
            }
        }
    }
}
