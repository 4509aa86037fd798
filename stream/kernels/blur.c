/* Planes made small, without what objects have of them, and out of focus. */
#include "common.h"

#define MOST_HALVINGS 8
#define MOST_REACH 4 /* of a disc, in samples */

/* samples * share / 255. */
INLINE void times(const u8 *samples, const u8 *shares, u8 *out, ptrdiff_t columns) {
    ptrdiff_t x = 0;
    for (; x + BLOCK <= columns; x += BLOCK) {
        if (!any_bit(~LOAD(shares + x))) {
            STORE(out + x, LOAD(samples + x));
            continue;
        }
        for (ptrdiff_t at = x; at < x + BLOCK; at += HALF)
            NARROW(out + at, by_255(WIDE(samples + at) * WIDE(shares + at)));
    }
    for (; x < columns; x++) {
        const u16 product = (u16)(samples[x] * shares[x] + 128);
        out[x] = (u8)((u16)(product + (product >> 8)) >> 8);
    }
}

/* Makes a plane small by halving it some times, and another of it first multiplied by `clear`, unless that is NULL.
 *
 * halvings: MOST_HALVINGS at most. rows, columns: of `clear`, multiples of 2 to that power.
 * twice: whether the plane has twice as many.
 * scratch: four bytes for each of four columns.
 */
EXPORT void stream_cut(const u8 *samples, ptrdiff_t stride, int twice, const u8 *clear, ptrdiff_t rows,
                       ptrdiff_t columns, int halvings, u8 *out, u8 *alone, u8 *scratch) {
    u8 *levels[2][MOST_HALVINGS + 1][2];
    const int planes = clear == NULL ? 1 : 2;
    u8 *const into[2] = {out, alone};
    if (halvings > MOST_HALVINGS) return;
    for (int plane = 0; plane < planes; plane++)
        for (int level = 0; level <= halvings; level++)
            for (int one = 0; one < 2; one++, scratch += columns >> level) levels[plane][level][one] = scratch;
    const ptrdiff_t small = columns >> halvings;
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *there[2];
        for (int plane = 0; plane < planes; plane++)
            there[plane] = halvings ? levels[plane][0][y & 1] : into[plane] + y * small;
        const u8 *from = samples + (twice ? 2 * y : y) * stride;
        if (twice)
            halved_row(from, from + stride, there[0], columns);
        else
            memcpy(there[0], from, (size_t)columns);
        if (clear != NULL) times(there[0], clear + y * columns, there[1], columns);
        /* Where a level has two rows they are one of the next. */
        for (int level = 1; level <= halvings && ((y + 1) & ((1 << level) - 1)) == 0; level++) {
            const ptrdiff_t place = y >> level;
            for (int plane = 0; plane < planes; plane++) {
                u8 *const *two = levels[plane][level - 1];
                u8 *row = level == halvings ? into[plane] + place * small : levels[plane][level][place & 1];
                halved_row(two[0], two[1], row, columns >> level);
            }
        }
    }
}

/* A row or column that lies outside as it is mirrored at the first or the last one. */
INLINE ptrdiff_t mirrored(ptrdiff_t at, ptrdiff_t count) {
    if (count == 1) return 0;
    while (at < 0 || at >= count) at = at < 0 ? -at : 2 * count - 2 - at;
    return at;
}

/* How much each sample of a row gives to those around it, and `reach` and more of them on each side. */
INLINE void row_given(const u8 *plane, const float *given, ptrdiff_t columns, int reach, float *out) {
    float *row = out + LANES;
    for (ptrdiff_t x = 0; x < columns; x++) row[x] = (float)plane[x] * given[x];
    for (int x = 1; x <= reach; x++) {
        row[-x] = row[mirrored(-x, columns)];
        row[columns - 1 + x] = row[mirrored(columns - 1 + x, columns)];
    }
    for (int x = reach; x < 2 * LANES; x++) row[columns + x] = 0; /* read, and of no use */
}

/* A row of what comes to each sample: the sum over a disc that is the same in its four quarters.
 *
 * rows: 2 * reach + 1 of them, from `row_given`; disc: of one quarter, row by row, the middle first.
 * sums: for each of reach + 1 rows as long as those.
 */
INLINE void row_around(float *const *rows, const float *disc, const int reach, ptrdiff_t columns, float *sums,
                       ptrdiff_t pitch, float *out) {
    for (ptrdiff_t x = 0; x < columns + 2 * LANES; x += LANES) {
        floats pairs[MOST_REACH + 1];
        pairs[0] = FLOATS(rows[reach] + x);
        for (int down = 1; down <= reach; down++) pairs[down] = FLOATS(rows[reach - down] + x) + FLOATS(rows[reach + down] + x);
        for (int across = 0; across <= reach; across++) {
            floats sum = pairs[0] * disc[across];
            for (int down = 1; down <= reach; down++) sum += pairs[down] * disc[down * (reach + 1) + across];
            PUT(sums + across * pitch + x, sum);
        }
    }
    for (ptrdiff_t x = 0; x < columns; x += LANES) {
        floats sum = FLOATS(sums + LANES + x);
        for (int across = 1; across <= reach; across++) {
            const float *there = sums + across * pitch + LANES + x;
            sum += FLOATS(there - across) + FLOATS(there + across);
        }
        PUT(out + x, sum);
    }
}

/* The same for each reach, which compilers keep in registers. */
INLINE void any_row_around(float *const *rows, const float *disc, int reach, ptrdiff_t columns, float *sums,
                           ptrdiff_t pitch, float *out) {
    if (reach == 1)
        row_around(rows, disc, 1, columns, sums, pitch, out);
    else if (reach == 2)
        row_around(rows, disc, 2, columns, sums, pitch, out);
    else if (reach == 3)
        row_around(rows, disc, 3, columns, sums, pitch, out);
    else
        row_around(rows, disc, 4, columns, sums, pitch, out);
}

/* A row of samples: what comes to each over what it might be at most, rounded. */
INLINE void row_divided(const float *sum, const float *total, ptrdiff_t columns, u8 *out) {
    for (ptrdiff_t first = 0; first < columns; first += BLOCK) {
        const ptrdiff_t many = columns - first < BLOCK ? columns - first : BLOCK;
        float value[BLOCK] = {0};
        u8 code[BLOCK];
        for (ptrdiff_t x = 0; x < many; x++) value[x] = sum[first + x] / total[first + x];
        rounded(value, code);
        memcpy(out + first, code, (size_t)many);
    }
}

/* A row of how much comes to each sample at most, and where that is next to nothing. */
INLINE int row_totalled(const float *sum, ptrdiff_t columns, float least, float *total, u8 *lost) {
    int any = 0;
    for (ptrdiff_t x = 0; x < columns; x++) {
        lost[x] = sum[x] <= least;
        any |= lost[x];
        total[x] = sum[x] > least ? sum[x] : least;
    }
    return any;
}

/* Spreads samples times `given` over a disc of `reach`, from 1 to MOST_REACH.
 *
 * total: what each might be at most, for which they are divided into `out`; if `out` is NULL it becomes what comes to
 * each, `least` at least, and `lost` where it is no more than that. Returns whether it is so anywhere.
 * scratch: 4 bytes for each number of 3 * reach + 3 rows of `columns` and four times LANES.
 */
EXPORT int stream_disc(const u8 *plane, const float *given, ptrdiff_t rows, ptrdiff_t columns, const float *disc,
                         int reach, float least, float *total, u8 *lost, u8 *out, float *scratch) {
    const ptrdiff_t pitch = columns + 4 * LANES, high = 2 * reach + 1;
    float *ring[2 * MOST_REACH + 1], *there[2 * MOST_REACH + 1];
    if (reach < 1 || reach > MOST_REACH) return 0;
    for (ptrdiff_t line = 0; line < high; line++) {
        ring[line] = scratch + line * pitch;
        memset(ring[line], 0, sizeof(float) * (size_t)pitch);
    }
    float *sums = scratch + high * pitch, *sum = sums + (reach + 1) * pitch;
    int any = 0;
    for (ptrdiff_t line = -reach; line < rows + reach; line++) {
        const ptrdiff_t from = mirrored(line, rows) * columns, y = line - reach;
        row_given(plane + from, given + from, columns, reach, ring[(line + reach) % high]);
        if (y < 0) continue;
        for (ptrdiff_t one = 0; one < high; one++) there[one] = ring[(y + one) % high];
        any_row_around(there, disc, reach, columns, sums, pitch, sum);
        if (out != NULL)
            row_divided(sum, total + y * columns, columns, out + y * columns);
        else
            any |= row_totalled(sum, columns, least, total + y * columns, lost + y * columns);
    }
    return any;
}

/* How much samples give to those around them: by their luma as far as they are behind objects, of 255, `least` at least;
 * weights: of each luma. */
EXPORT void stream_given(const u8 *luma, const u8 *behind, int least, const float *weights, ptrdiff_t count,
                         float *given) {
    for (ptrdiff_t first = 0; first < count; first += BLOCK) {
        const ptrdiff_t many = count - first < BLOCK ? count - first : BLOCK;
        float value[BLOCK] = {0};
        u8 code[BLOCK];
        for (ptrdiff_t x = 0; x < many; x++) {
            const float whole = (float)(behind[first + x] > least ? behind[first + x] : least);
            value[x] = (float)luma[first + x] * 255 / whole;
        }
        rounded(value, code);
        for (ptrdiff_t x = 0; x < many; x++) given[first + x] = weights[code[x]];
    }
}
