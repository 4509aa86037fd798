/* Which of a picture's objects lie before much larger ones. */
#include "common.h"

/* A side of a box as cells of it lie in another one's mask: for each the cell there, -1 for none. */
INLINE void cells_there(const double *box, const double *other, int side, int64_t cells, int32_t *there) {
    const double size = most_of(other[side + 2] - other[side], 1e-3), extent = box[side + 2] - box[side];
    for (int64_t cell = 0; cell < cells; cell++) {
        const double middle = box[side] + ((double)cell + 0.5) / (double)cells * extent;
        const double at = floor((middle - other[side]) / size * (double)cells);
        there[cell] = at >= 0 && at < (double)cells ? (int32_t)at : -1;
    }
}

/* How many of a mask's cells lie within another mask, by their middles. */
INLINE int64_t cells_within(const u8 *mask, const u8 *other, int64_t rows, int64_t columns, const int32_t *row_there,
                            const int32_t *column_there) {
    int64_t within = 0;
    for (int64_t y = 0; y < rows; y++) {
        if (row_there[y] < 0) continue;
        const u8 *own = mask + y * columns, *theirs = other + row_there[y] * columns;
        for (int64_t x = 0; x < columns; x++)
            within += column_there[x] >= 0 && own[x] && theirs[column_there[x]];
    }
    return within;
}

/* Which objects meet by their boxes, and which of them are before another, as `stream.compositing.stacking` has it.
 *
 * boxes: 4 of each, finite.
 * limits: what shares less than the first of the smaller one lies beside; a smaller part than the second of another's
 * area is before it; so is what lies to the third within it and has less than the fourth of its area.
 * inside, places, areas: for all cells, for a mask's rows and columns, and for twice as many as there are objects.
 * found: of each with each, 1 where their boxes meet, and 2 more where the former is before the latter. */
EXPORT void stream_before(int64_t count, const float *masks, int64_t rows, int64_t columns, const double *boxes,
                          float threshold, const double *limits, u8 *inside, int32_t *places, double *areas, u8 *found) {
    const int64_t cells = rows * columns;
    double *covered = areas + count;
    int counted = 0;
    for (int64_t one = 0; one < count; one++)
        for (int64_t other = 0; other < count; other++) {
            const double *a = boxes + 4 * one, *b = boxes + 4 * other;
            const double wide = least_of(a[2], b[2]) - most_of(a[0], b[0]);
            const double high = least_of(a[3], b[3]) - most_of(a[1], b[1]);
            const double shared = wide > 0 && high > 0 ? wide * high : 0;
            u8 *answer = found + one * count + other;
            *answer = shared > 0;
            if (one == other || !*answer) continue;
            if (!counted) {
                counted = 1;
                for (int64_t at = 0; at < count * cells; at++) inside[at] = masks[at] > threshold;
                for (int64_t at = 0; at < count; at++) {
                    const double *box = boxes + 4 * at;
                    int64_t many = 0;
                    for (int64_t cell = 0; cell < cells; cell++) many += inside[at * cells + cell];
                    covered[at] = (double)many;
                    areas[at] = (double)many / (double)cells * most_of((box[2] - box[0]) * (box[3] - box[1]), 1e-6);
                }
            }
            const double share = areas[one] / most_of(areas[other], 1e-6);
            const double least = share < limits[1] ? limits[0] : limits[2];
            if (!(share < limits[3] && shared > least * areas[one] && covered[one] > 0)) continue;
            cells_there(a, b, 1, rows, places);
            cells_there(a, b, 0, columns, places + rows);
            const int64_t within = cells_within(inside + one * cells, inside + other * cells, rows, columns, places, places + rows);
            if ((double)within / covered[one] > least) *answer = 3;
        }
}
