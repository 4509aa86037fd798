/* Covering objects: cells enlarged to shares of pixels, and a colour or squares where they say so. */
#include "common.h"

#define AHEAD 16 /* rows of cells whose reach is asked for */
#define TWO (2 * BLOCK) /* samples of luma for a block of chroma */

/* Where the shares of two rows of cells lie, and of two rows of pixels. */
typedef struct {
    u16 *above, *below;
    u8 *classes, *before, *shares[2]; /* `before` are the classes of a row before, `classes` those of this one */
} rows_kept;

/* What is painted into: a plane, one of whose samples stands for `step` pixels each way. */
typedef struct {
    u8 *samples;
    ptrdiff_t stride, rows, columns;
    int step, value;
    u8 *cover; /* a row of squares, or NULL for the value */
} canvas_plane;

/* Shares of the cell behind and of the one before, of 2048, at each pixel between two cells' middles, times 32; as
 * OpenCV has them. Whole vectors are read of them. */
typedef struct {
    u16 *to, *from;
} parts_of;

/* A row of cells at pixels' middles, of 32640, as OpenCV has it: shares of 2048, and four bits less. */
INLINE void enlarged(const u8 *cells, ptrdiff_t count, int side, const parts_of *parts, u16 *out, ptrdiff_t first,
                     ptrdiff_t last) {
    const int half = side / 2;
    if (first <= 0)
        for (int x = 0; x < half; x++) out[x] = (u16)(128 * cells[0]);
    for (ptrdiff_t at = first > 0 ? first - 1 : 0; at < last; at++) {
        const int from = cells[at], to = cells[at + 1 < count ? at + 1 : count - 1], up = to > from;
        const u16 base = (u16)(128 * (up ? from : to)), more = (u16)(128 * (up ? to - from : from - to));
        u16 *restrict there = out + at * side + half;
        ptrdiff_t end = at + 1;
        while (end < last && cells[end] == from) end++;
        if (end > at + 2) { /* Most cells are as those beside them. */
            const ptrdiff_t wide = (end - 1 - at) * side;
            const words alike = each((u16)(128 * from));
            for (ptrdiff_t x = 0; x < wide; x += HALF) *(words *)(there + x) = alike;
            at = end - 2;
            continue;
        }
        for (int k = 0; k < side; k += HALF) { /* The next one writes over what is too much. */
            const u16 *restrict part = (up ? parts->to : parts->from) + k;
            for (int x = 0; x < HALF; x++) there[k + x] = (u16)(base + (u16)(((uint32_t)more * part[x]) >> 16));
        }
        if (side % 2) there[0] = (u16)(128 * from); /* There is no share of all in sixteen bits. */
    }
}

/* Which blocks between two rows of cells stay as they are, and which not at all. */
INLINE void classified(const rows_kept *kept, ptrdiff_t left, ptrdiff_t right) {
    for (ptrdiff_t x = left; x < right; x += BLOCK) {
        const words *above = (const words *)(kept->above + x), *below = (const words *)(kept->below + x);
        const words any = above[0] | above[1] | below[0] | below[1], all = above[0] & above[1] & below[0] & below[1];
        const int most = 255 * 128;
        kept->classes[x / BLOCK] = !any_word(any) ? NONE : !any_word(all ^ each((u16)most)) ? ALL : SOME;
    }
}

INLINE void between(const rows_kept *kept, u16 part, u8 *out, ptrdiff_t left, ptrdiff_t right) {
    const u16 rest = (u16)(2048 - part);
    for (ptrdiff_t x = left; x < right; x += BLOCK) {
        const int which = kept->classes[x / BLOCK];
        if (which != SOME) {
            memset(out + x, which == ALL ? 255 : 0, BLOCK);
            continue;
        }
        const u16 *restrict above = kept->above + x, *restrict below = kept->below + x;
        u8 *restrict to = out + x;
        for (int one = 0; one < BLOCK; one++) { /* In this form compilers take the processor's own high products. */
            const u16 first = (u16)((above[one] * (uint32_t)rest) >> 16), last = (u16)((below[one] * (uint32_t)part) >> 16);
            to[one] = (u8)((u16)(first + last + 2) >> 2);
        }
    }
}

INLINE void covered_block(u8 *samples, bytes keep, const u8 *cover, u8 value) {
    if (cover != NULL) { /* Squares end without a transition. */
        const bytes bare = (bytes)(keep > 127);
        STORE(samples, (LOAD(samples) & bare) | (LOAD(cover) & ~bare));
        return;
    }
    const u8 *part = (const u8 *)&keep;
    for (int x = 0; x < BLOCK; x += HALF) NARROW(samples + x, mixed(WIDE(samples + x), WIDE(part + x), each(value)));
}

/* One row of a plane, from a column on that blocks begin at. */
INLINE void covered_row(const canvas_plane *plane, u8 *row, const rows_kept *kept, int odd, ptrdiff_t left,
                        ptrdiff_t right) {
    const int twice = plane->step == 2;
    const u8 *one = kept->shares[twice ? 0 : odd], *other = kept->shares[odd];
    const ptrdiff_t end = right / plane->step < plane->columns ? right / plane->step : plane->columns;
    for (ptrdiff_t x = left / plane->step; x < end; x += BLOCK) {
        const u8 *these = kept->classes + (twice ? x / HALF : x / BLOCK), *before = kept->before + x / HALF;
        const int alike = !twice || (these[0] == these[1] && these[0] == before[0] && these[0] == before[1]);
        const int class = alike ? these[0] : SOME;
        if (class == ALL) continue;
        const u8 *cover = plane->cover == NULL ? NULL : plane->cover + x;
        const ptrdiff_t wide = plane->columns - x < BLOCK ? plane->columns - x : BLOCK;
        if (class == NONE && wide == BLOCK) {
            if (cover != NULL)
                STORE(row + x, LOAD(cover));
            else
                memset(row + x, plane->value, BLOCK);
            continue;
        }
        bytes keep;
        if (twice) {
            u8 *to = (u8 *)&keep;
            NARROW(to, quarters(one + 2 * x, other + 2 * x));
            NARROW(to + HALF, quarters(one + 2 * x + BLOCK, other + 2 * x + BLOCK));
        } else {
            keep = LOAD(one + x);
        }
        if (wide < BLOCK) {
            u8 last[BLOCK] = {0};
            memcpy(last, row + x, (size_t)wide);
            covered_block(last, keep, cover, (u8)plane->value);
            memcpy(row + x, last, (size_t)wide);
        } else {
            covered_block(row + x, keep, cover, (u8)plane->value);
        }
    }
}

/* The means of two rows and columns each; may be written over what they are taken from. */
INLINE void halved(const u8 *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, u8 *to, ptrdiff_t to_stride) {
    for (ptrdiff_t y = 0; y < rows; y++)
        halved_row(from + 2 * y * stride, from + (2 * y + 1) * stride, to + y * to_stride, columns);
}

/* The means of squares beside each other, each of so many rows and columns, which are halved as long as they can be:
 * as `mosaic.py` has it, with OpenCV's rounding. */
INLINE void means(const u8 *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t count, u8 *out,
                  u8 *scratch, u16 *sums) {
    while (rows % 2 == 0 && columns % 2 == 0) {
        rows /= 2;
        columns /= 2;
        halved(from, stride, rows, columns * count, scratch, columns * count);
        from = scratch;
        stride = columns * count;
    }
    const float share = 1.0f / (float)(rows * columns);
    uint32_t *whole = (uint32_t *)(sums + columns * count + (columns * count) % 2);
    memset(whole, 0, (size_t)count * sizeof(uint32_t));
    for (ptrdiff_t first = 0; first < rows; first += 256) { /* More do not fit into sixteen bits. */
        const ptrdiff_t last = first + 256 < rows ? first + 256 : rows, wide = columns * count;
        memset(sums, 0, (size_t)wide * sizeof(u16));
        for (ptrdiff_t y = first; y < last; y++) {
            const u8 *restrict row = from + y * stride;
            u16 *restrict to = sums;
            for (ptrdiff_t x = 0; x < wide; x++) to[x] = (u16)(to[x] + row[x]);
        }
        for (ptrdiff_t one = 0; one < count; one++)
            for (ptrdiff_t x = 0; x < columns; x++) whole[one] += sums[one * columns + x];
    }
    for (ptrdiff_t one = 0; one < count; one++) out[one] = (u8)lrintf((float)(int32_t)whole[one] * share);
}

/* A row of squares of a plane, as far as any of a square's pixels may be covered: each sample of one of its rows. */
INLINE void squares(const canvas_plane *plane, ptrdiff_t top, ptrdiff_t block, const u8 *wanted, ptrdiff_t count,
                    u8 *small, u8 *scratch, u16 *sums) {
    const ptrdiff_t side = block / plane->step, high = plane->rows - top < side ? plane->rows - top : side;
    const u8 *from = plane->samples + top * plane->stride;
    const ptrdiff_t whole = plane->columns / side;
    for (ptrdiff_t one = 0; one < count;) {
        if (!wanted[one] || one * side >= plane->columns) {
            one++;
            continue;
        }
        ptrdiff_t last = one + 1, broad = side;
        if (one < whole)
            while (last < whole && wanted[last]) last++;
        else
            broad = plane->columns - one * side;
        means(from + one * side, plane->stride, high, broad, last - one, small, scratch, sums);
        for (ptrdiff_t at = one; at < last; at++) memset(plane->cover + at * side, small[at - one], (size_t)broad);
        one = last;
    }
}

/* Which squares of a row may have a covered pixel. */
INLINE void wanted_of(const u8 *bare, ptrdiff_t rows, ptrdiff_t columns, int side, ptrdiff_t top, ptrdiff_t block,
                      u8 *wanted, ptrdiff_t count) {
    const ptrdiff_t first = top / side > 0 ? top / side - 1 : 0;
    const ptrdiff_t last = (top + block - 1) / side + 2 < rows ? (top + block - 1) / side + 2 : rows;
    for (ptrdiff_t one = 0; one < count; one++) {
        const ptrdiff_t from = one * block / side > 0 ? one * block / side - 1 : 0;
        const ptrdiff_t end = (one * block + block - 1) / side + 2, to = end < columns ? end : columns;
        wanted[one] = 0;
        for (ptrdiff_t y = first; y < last && !wanted[one]; y++) {
            const u8 *row = bare + y * columns;
            u8 least = 255;
            for (ptrdiff_t x = from; x < to; x++) least = row[x] < least ? row[x] : least;
            wanted[one] = least < 255;
        }
    }
}

/* Columns of pixels as far as a row of cells reaches, with the cells beside, towards which they go over; whole blocks. */
INLINE void widened(const int32_t *reach, int side, ptrdiff_t columns, ptrdiff_t *span) {
    if (reach[0] == reach[1]) return;
    const ptrdiff_t first = (reach[0] - 1) * (ptrdiff_t)side, last = (reach[1] + 1) * (ptrdiff_t)side;
    const ptrdiff_t left = first > 0 ? first / TWO * TWO : 0, most = columns * side;
    const ptrdiff_t right = ((last < most ? last : most) + TWO - 1) / TWO * TWO;
    span[0] = left < span[0] ? left : span[0];
    span[1] = right > span[1] ? right : span[1];
}

/* Covers all that cells say.
 *
 * bare: of cells of `side` pixels, one after the other, 0 where they are covered to 255 where they are not.
 * places: of each plane its address, its stride, pixels that a sample stands for each way (1 or 2), and its value.
 * block: the side of squares in pixels, which stand for the values; 0 for none.
 * scratch: as many bytes as `cover.py` says.
 */
EXPORT void stream_cover(const u8 *bare, int side, ptrdiff_t height, ptrdiff_t width, int count, const int64_t *places,
                         ptrdiff_t block, void *scratch) {
    const ptrdiff_t rows = (height + side - 1) / side, columns = (width + side - 1) / side;
    const ptrdiff_t wide = (columns * side + side + HALF + TWO - 1) / TWO * TWO + TWO;
    const int phases = (side + HALF - 1) / HALF * HALF;
    int32_t *reach = scratch; /* of each row of cells its first one that is covered, and behind its last */
    u16 *sums = (u16 *)(reach + 2 * rows);
    rows_kept kept = {sums + 3 * wide, sums + 4 * wide, (u8 *)(sums + 5 * wide), (u8 *)(sums + 5 * wide) + wide / 2,
                      {NULL, NULL}};
    const parts_of parts = {(u16 *)(kept.classes + wide), (u16 *)(kept.classes + wide) + phases};
    kept.shares[0] = (u8 *)(parts.from + phases);
    kept.shares[1] = kept.shares[0] + wide;
    u8 *covers = kept.shares[1] + wide, *small = covers + 3 * wide, *wanted = small + wide, *band = wanted + wide;
    canvas_plane planes[3];
    for (int one = 0; one < count; one++) {
        const int64_t *place = places + 4 * one;
        const int step = (int)place[2];
        planes[one] = (canvas_plane){(u8 *)(intptr_t)place[0], (ptrdiff_t)place[1], (height + step - 1) / step,
                                     (width + step - 1) / step, step, (int)place[3], block ? covers + one * wide : NULL};
    }
    if (block) memset(covers, 0, (size_t)(3 * wide));
    for (int k = 0; k < phases; k++) {
        const int part = (int)lrint((2 * (k < side ? k : 0) + (side % 2 == 0)) * 1024.0 / side);
        parts.to[k] = (u16)(32 * part);
        parts.from[k] = (u16)(32 * (2048 - part));
    }
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *row = bare + y * columns;
        ptrdiff_t first = 0, last = columns;
        while (first < columns && row[first] == 255) first++;
        while (last > first && row[last - 1] == 255) last--;
        reach[2 * y] = (int32_t)first;
        reach[2 * y + 1] = (int32_t)last;
    }
    ptrdiff_t known = -2, left = 0, right = 0, of_squares = -1, from = wide, to = 0;
    ptrdiff_t whole[2] = {wide, 0}; /* columns of pixels that were enlarged */
    for (ptrdiff_t y = 0; y < height; y++) {
        const ptrdiff_t before = (y + side - side / 2) / side - 1, last = rows - 1;
        const ptrdiff_t one = before < 0 ? 0 : before, other = before + 1 < last ? before + 1 : last;
        if (before != known) {
            ptrdiff_t span[2] = {wide, 0};
            widened(reach + 2 * one, side, columns, span);
            widened(reach + 2 * other, side, columns, span);
            left = span[0], right = span[1];
            const int again = left < right && before == known + 1 && left >= whole[0] && right <= whole[1];
            if (again) {
                u16 *above = kept.above;
                kept.above = kept.below;
                kept.below = above;
            } else {
                whole[0] = left, whole[1] = right;
                /* So wide that the rows that come next can be taken again, too. */
                for (ptrdiff_t row = other; left < right && row < rows && row < other + AHEAD; row++)
                    widened(reach + 2 * row, side, columns, whole);
            }
            known = before;
            memset(kept.classes, ALL, (size_t)(wide / BLOCK));
            if (left < right) {
                /* Where the row before is taken again, this one is made as wide for the next. */
                const ptrdiff_t end = whole[1] / side + 1;
                for (int which = again; which < 2; which++) {
                    u16 *to = which ? kept.below : kept.above;
                    enlarged(bare + (which ? other : one) * columns, columns, side, &parts, to, whole[0] / side,
                             end < columns ? end : columns);
                    for (ptrdiff_t x = columns * side; x < whole[1]; x++) to[x] = to[columns * side - 1];
                }
                classified(&kept, left, right);
            }
        }
        /* Rows of chroma stand for two, of which either may be covered. */
        u8 *share = kept.shares[y % 2];
        if (y % 2 == 0) memset(kept.shares[1], 255, (size_t)wide);
        memset(share, 255, (size_t)wide);
        if (left < right) between(&kept, (u16)(parts.to[(y + side - side / 2) % side] / 32), share, left, right);
        if (width % 2) share[width] = share[width - 1];
        if (y % 2 == 0) {
            from = wide, to = 0;
            memcpy(kept.before, kept.classes, (size_t)(wide / BLOCK));
        }
        if (left < right) from = left < from ? left : from, to = right > to ? right : to;
        if (block && y / block != of_squares && left < right) {
            of_squares = y / block;
            const ptrdiff_t across = (width + block - 1) / block;
            wanted_of(bare, rows, columns, side, of_squares * block, block, wanted, across);
            for (int plane = 0; plane < count; plane++)
                squares(planes + plane, of_squares * block / planes[plane].step, block, wanted, across, small, band,
                        sums);
        }
        for (int plane = 0; plane < count; plane++) {
            const canvas_plane *own = planes + plane;
            if (own->step == 1) covered_row(own, own->samples + y * own->stride, &kept, y % 2, left, right);
            if (own->step == 2 && (y % 2 || y == height - 1))
                covered_row(own, own->samples + y / 2 * own->stride, &kept, y % 2, from, to);
        }
    }
}
