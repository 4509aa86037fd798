/* Planes made small, without what objects have of them. */
#include "common.h"

#define MOST_HALVINGS 8
#define LITTLE 31 /* of 255: of what is behind less of no sample counts */

/* How far each two rows and columns are behind all objects, of 255; 0 where they hardly are.
 *
 * alpha: how far samples are an object's, of 255; rows, columns: of what comes of it.
 */
EXPORT void stream_clear(const u8 *alpha, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, u8 *out) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *above = alpha + 2 * y * stride, *below = above + stride;
        u8 *row = out + y * columns;
        ptrdiff_t x = 0;
        for (; x + BLOCK <= columns; x += BLOCK) {
            const u8 *one = above + 2 * x, *other = below + 2 * x;
            if (!any_bit(LOAD(one) | LOAD(one + BLOCK) | LOAD(other) | LOAD(other + BLOCK))) {
                STORE(row + x, ~(bytes){0});
                continue;
            }
            u8 mean[BLOCK];
            halved_row(one, other, mean, BLOCK);
            for (int at = 0; at < BLOCK; at++) {
                /* A sample is an object's as far as any of its pixels is. */
                const int covered = 4 * mean[at] < 255 ? 4 * mean[at] : 255;
                row[x + at] = (u8)(255 - covered > LITTLE ? 255 - covered : 0);
            }
        }
        for (; x < columns; x++) {
            u8 mean;
            halved_row(above + 2 * x, below + 2 * x, &mean, 1);
            const int covered = 4 * mean < 255 ? 4 * mean : 255;
            row[x] = (u8)(255 - covered > LITTLE ? 255 - covered : 0);
        }
    }
}

/* samples * share / 255, in place. */
INLINE void times(u8 *samples, const u8 *shares, ptrdiff_t columns) {
    for (ptrdiff_t x = 0; x < columns; x++) {
        const u16 product = (u16)(samples[x] * shares[x] + 128);
        samples[x] = (u8)((u16)(product + (product >> 8)) >> 8);
    }
}

/* Makes a plane small by halving it some times; `clear`, if not NULL, multiplies it where it has its rows and columns.
 *
 * halvings: MOST_HALVINGS at most. rows, columns: of `clear`, multiples of 2 to that power.
 * twice: whether the plane has twice as many.
 * scratch: two bytes for each of four columns.
 */
EXPORT void stream_cut(const u8 *samples, ptrdiff_t stride, int twice, const u8 *clear, ptrdiff_t rows,
                       ptrdiff_t columns, int halvings, u8 *out, u8 *scratch) {
    u8 *rows_of_level[MOST_HALVINGS + 1][2];
    if (halvings > MOST_HALVINGS) return;
    for (int level = 0; level <= halvings; level++)
        for (int one = 0; one < 2; one++, scratch += columns >> level) rows_of_level[level][one] = scratch;
    const ptrdiff_t small = columns >> halvings;
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *row = halvings ? rows_of_level[0][y & 1] : out + y * small;
        const u8 *from = samples + (twice ? 2 * y : y) * stride;
        if (twice)
            halved_row(from, from + stride, row, columns);
        else
            memcpy(row, from, (size_t)columns);
        if (clear != NULL) times(row, clear + y * columns, columns);
        /* Where a level has two rows they are one of the next. */
        for (int level = 1; level <= halvings && ((y + 1) & ((1 << level) - 1)) == 0; level++) {
            const ptrdiff_t place = y >> level;
            u8 *into = level == halvings ? out + place * small : rows_of_level[level][place & 1];
            halved_row(rows_of_level[level - 1][0], rows_of_level[level - 1][1], into, columns >> level);
        }
    }
}
