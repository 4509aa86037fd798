/* Blending colours into objects, by how far a pixel is from their edge. */
#include "common.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define AHEAD 6 /* rows of a picture that are asked for */
#define HALF_MOST 7 /* of the square that is counted */

/* One row of how much stays, of 256, and of what kind each block is: of those that are not SOME, `stays` says nothing. */
typedef struct {
    u16 stays[MOST_WIDE + BLOCK];
    u8 kinds[MOST_WIDE / BLOCK + 1];
} Row;

/* How a colour covers: `shares` says how much stays, of 256, by how much of a square of `side` is the object's. */
typedef struct {
    int side;
    const u16 *shares;
#ifdef __AVX2__
    int few; /* whether these tell all: what does not stay, by the lower four bits, twice, without and with the fifth */
    bytes low, high;
#endif
} Strength;

INLINE Strength strength_of(int side, const u16 *shares) {
    Strength strength = {.side = side, .shares = shares};
#ifdef __AVX2__
    strength.few = side * side < BLOCK;
    for (int count = 0; count < BLOCK; count++) {
        const int goes = count <= side * side ? 256 - shares[count] : 0, at = count % HALF;
        strength.few &= goes < 256;
        if (count < HALF)
            strength.low[at] = strength.low[at + HALF] = (u8)goes;
        else
            strength.high[at] = strength.high[at + HALF] = (u8)goes;
    }
#endif
    return strength;
}

/* Shares of a block; most edges are narrow, beside which all of them are alike. */
INLINE void looked_up(u16 *stays, bytes sum, const Strength *strength) {
#ifdef __AVX2__
    if (strength->few) {
        const __m256i counts = (__m256i)sum, fifth = _mm256_slli_epi16(counts, 3);
        const __m256i low = _mm256_shuffle_epi8((__m256i)strength->low, counts);
        const __m256i high = _mm256_shuffle_epi8((__m256i)strength->high, counts);
        const bytes goes = (bytes)_mm256_blendv_epi8(low, high, fifth);
        const half_bytes first = (half_bytes)_mm256_castsi256_si128((__m256i)goes);
        const half_bytes last = (half_bytes)_mm256_extracti128_si256((__m256i)goes, 1);
        PUT_WORDS(stays, 256 - __builtin_convertvector(first, words));
        PUT_WORDS(stays + HALF, 256 - __builtin_convertvector(last, words));
        return;
    }
#endif
    const u16 *shares = strength->shares;
    u8 counts[BLOCK];
    STORE(counts, sum);
    for (int x = 0; x < BLOCK; x += 8) {
        uint64_t eight;
        memcpy(&eight, counts + x, 8);
        if (eight == 0x0101010101010101u * counts[x]) {
            const u16 all = shares[counts[x]];
            for (int at = x; at < x + 8; at++) stays[at] = all;
        } else {
            for (int at = x; at < x + 8; at++) stays[at] = shares[counts[at]];
        }
    }
}

/* How much stays of a row's pixels; returns whether anything is painted there. */
INLINE int row_of(Row *row, const u8 *sums, ptrdiff_t columns, const Strength *strength, const u8 *inside, u16 bare) {
    const int side = strength->side;
    const bytes full = (u8)side - (bytes){0};
    int any = 0;
    for (ptrdiff_t block = 0, at = 0; at < columns; block++, at += BLOCK) {
        const bytes first = LOAD(sums + at), last = LOAD(sums + at + side - 1);
        int kind = !any_bit(first | last) ? NONE : any_bit((first ^ full) | (last ^ full)) ? SOME : ALL;
        if (kind == SOME || (kind == ALL && bare < 256)) {
            u16 *stays = row->stays + at;
            bytes sum = first + last;
            for (int more = 1; more < side - 1; more++) sum += LOAD(sums + at + more);
            looked_up(stays, sum, strength);
            if (bare < 256)
                for (int x = 0; x < BLOCK && at + x < columns; x++)
                    if (inside[at + x] && stays[x] > bare) stays[x] = bare;
            kind = SOME;
        }
        row->kinds[block] = (u8)kind;
        any |= kind;
    }
    return any;
}

/* ((samples - value) * stays + 256 * value + 128) / 256: what goes over 16 bits comes back. */
INLINE void tint(u8 *samples, words stays, int value) {
    NARROW(samples, ((WIDE(samples) - (u16)value) * stays + (u16)(256 * value + 128)) >> 8);
}

INLINE void tint_some(u8 *samples, words stays, int value, ptrdiff_t left) {
    if (left >= HALF) {
        tint(samples, stays, value);
    } else if (left > 0) {
        u8 last[HALF] = {0};
        memcpy(last, samples, (size_t)left);
        tint(last, stays, value);
        memcpy(samples, last, (size_t)left);
    }
}

INLINE words stays_of(const Row *row, ptrdiff_t block, int from, u16 inside) {
    if (row->kinds[block] == SOME) return WORDS(row->stays + block * BLOCK + from);
    return each(row->kinds[block] == ALL ? inside : 256);
}

INLINE void tint_block(u8 *samples, const Row *row, ptrdiff_t block, u16 inside, int value, ptrdiff_t left) {
    for (int x = 0; x < BLOCK; x += HALF) tint_some(samples + x, stays_of(row, block, x, inside), value, left - x);
}

/* How much stays of half a block of samples that stand for two rows and columns each. */
INLINE words halved_of(const Row *above, const Row *below, ptrdiff_t block, ptrdiff_t columns, u16 inside) {
    u16 sums[BLOCK];
    for (int x = 0; x < BLOCK; x += HALF)
        PUT_WORDS(sums + x, stays_of(above, block, x, inside) + stays_of(below, block, x, inside));
    const ptrdiff_t left = columns - block * BLOCK;
    if (left < BLOCK && left & 1) sums[left] = sums[left - 1]; /* A last column counts twice. */
#ifdef __AVX2__
    const __m256i one = _mm256_set1_epi16(1), two = _mm256_set1_epi32(2);
    __m256i half[2];
    for (int at = 0; at < 2; at++) {
        const __m256i pairs = _mm256_madd_epi16((__m256i)WORDS(sums + at * HALF), one);
        half[at] = _mm256_srli_epi32(_mm256_add_epi32(pairs, two), 2);
    }
    return (words)_mm256_permute4x64_epi64(_mm256_packus_epi32(half[0], half[1]), 0xD8);
#else
    u16 stays[HALF];
    for (int x = 0; x < HALF; x++) stays[x] = (u16)((sums[2 * x] + sums[2 * x + 1] + 2) >> 2);
    return WORDS(stays);
#endif
}

/* Planes of a picture: the first one's samples stand for a pixel each, those of the others for `step` rows and columns.
 */
typedef struct {
    u8 *samples[3];
    ptrdiff_t strides[3];
    int count, step;
} Planes;

/* Asks for a row of all planes, which is far away in memory where others were painted since. */
INLINE void ask_ahead(const Planes *planes, u8 *const *samples, ptrdiff_t y, ptrdiff_t rows, ptrdiff_t columns) {
    if (y >= rows) return;
    for (int plane = 0; plane < planes->count; plane++) {
        const int step = plane ? planes->step : 1;
        if (y % step) continue;
        const u8 *row = samples[plane] + y / step * planes->strides[plane];
        for (ptrdiff_t x = 0; x < columns / step; x += 64) __builtin_prefetch(row + x, 1);
    }
}

/* Blends an object's colour into its window by how much of the square around each pixel is the object's.
 *
 * mask: 1 or 0, `mask_stride` bytes a row, at the window's first pixel, with half a square around the window.
 * bare: what stays at most where the mask is 1, for thin objects; 256 for others.
 */
INLINE void tint_object(const u8 *mask, ptrdiff_t mask_stride, const int64_t *window, const Strength *strength, int bare,
                        const Planes *planes, const int64_t *colour) {
    const int side = strength->side, halved = planes->step == 2;
    const ptrdiff_t rows = rows_of(window), columns = columns_of(window);
    u8 *samples_of[3];
    for (int plane = 0; plane < planes->count; plane++) {
        const int step = plane ? planes->step : 1;
        samples_of[plane] =
            planes->samples[plane] + window[0] / step * planes->strides[plane] + window[2] / step;
    }
    const int half = side / 2;
    const int values[3] = {(int)colour[0], (int)colour[1], (int)colour[2]};
    const u16 inside = strength->shares[side * side];
    const ptrdiff_t around = columns + 2 * half;
    u8 sums[MOST_WIDE + 3 * BLOCK];
    Row pair[2];
    memset(sums, 0, (size_t)(around + 2 * BLOCK));
    for (int y = -half; y < half; y++) {
        const u8 *row = mask + y * mask_stride - half;
        for (ptrdiff_t x = 0; x < around; x++) sums[x] = (u8)(sums[x] + row[x]);
    }
    int any = 0;
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *enters = mask + (y + half) * mask_stride - half;
        const u8 *leaves = mask + (y - half - 1) * mask_stride - half;
        ptrdiff_t at = 0;
        if (y)
            for (; at + BLOCK <= around; at += BLOCK)
                STORE(sums + at, LOAD(sums + at) + LOAD(enters + at) - LOAD(leaves + at));
        for (; at < around; at++) sums[at] = (u8)(sums[at] + enters[at] - (y ? leaves[at] : 0));
        const int odd = halved && y & 1;
        Row *row = &pair[odd];
        const int painted = row_of(row, sums, columns, strength, mask + y * mask_stride, (u16)bare);
        any = odd ? any | painted : painted;
        u8 *samples = samples_of[0] + y * planes->strides[0];
        ask_ahead(planes, samples_of, y + AHEAD, rows, columns);
        if (painted)
            for (ptrdiff_t block = 0, x = 0; x < columns; block++, x += BLOCK)
                if (row->kinds[block]) tint_block(samples + x, row, block, inside, values[0], columns - x);
        if (planes->count == 1 || !any || (halved && !odd && y + 1 < rows)) continue;
        const ptrdiff_t line = halved ? y / 2 : y;
        const Row *above = &pair[0], *below = &pair[odd]; /* A last row counts twice. */
        for (ptrdiff_t block = 0, x = 0; x < columns; block++, x += BLOCK) {
            const int kind = above->kinds[block] == below->kinds[block] ? above->kinds[block] : SOME;
            if (kind == NONE) continue;
            const words stays = halved && kind != ALL ? halved_of(above, below, block, columns, inside) : each(inside);
            for (int plane = 1; plane < 3; plane++) {
                u8 *there = samples_of[plane] + line * planes->strides[plane];
                if (halved)
                    tint_some(there + x / 2, stays, values[plane], (columns + 1) / 2 - x / 2);
                else
                    tint_block(there + x, row, block, inside, values[plane], columns - x);
            }
        }
    }
}

/* A mask where no higher rank is, with a rim around it. */
INLINE void seen_object(const u8 *inside, ptrdiff_t stride, const u8 *ranks, ptrdiff_t ranks_stride, ptrdiff_t rows,
                        ptrdiff_t columns, u8 rank, u8 *out, ptrdiff_t out_stride, ptrdiff_t rim) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        const u8 *restrict row = inside + y * stride, *restrict there = ranks + y * ranks_stride;
        u8 *restrict into = out + y * out_stride;
        for (ptrdiff_t x = 0; x < columns; x++) into[x] = (u8)(row[x] & (there[x] <= rank));
    }
    rim_around(out, out_stride, rows, columns, rim);
}

/* Of each object where its mask begins and how many bytes its rows lie apart, what stays at most of thin ones, its window,
 * whether anything may be in front of it, whether it may be in front of anything, and its colour. */
typedef struct {
    int64_t mask, stride, bare, window[4], covered, covers, values[3];
} Object;

/* Tints objects, what is farthest behind first, each where nothing is in front of it.
 *
 * plane: of the picture's size, all 0; scratch: of the largest window with half a square around it; of no use where
 * nothing is in front of anything.
 * places: of each of the picture's planes, as `stream_put` has them.
 */
EXPORT void stream_tint(ptrdiff_t count, const int64_t *told, u8 *plane, ptrdiff_t plane_stride, u8 *scratch, int side,
                        const u16 *shares, const int64_t *places, int planes) {
    const Object *objects = (const Object *)told;
    const Strength strength = strength_of(side, shares);
    Planes picture = {{0}, {0}, planes, (int)places[4 * planes - 2]};
    for (int at = 0; at < planes; at++) {
        picture.samples[at] = (u8 *)(intptr_t)places[4 * at];
        picture.strides[at] = (ptrdiff_t)places[4 * at + 1];
    }
    for (ptrdiff_t place = 0; place < count; place++) {
        const Object *one = objects + place;
        if (!one->covers) continue;
        stream_lay(plane + one->window[0] * plane_stride + one->window[2], plane_stride, (const u8 *)(intptr_t)one->mask,
                   (ptrdiff_t)one->stride, rows_of(one->window), columns_of(one->window), (int)(place + 1));
    }
    for (ptrdiff_t place = 0; place < count; place++) {
        const Object *one = objects + place;
        const int64_t *window = one->window;
        const u8 *inside = (const u8 *)(intptr_t)one->mask;
        ptrdiff_t stride = (ptrdiff_t)one->stride;
        if (one->covered) {
            const ptrdiff_t rows = rows_of(window), columns = columns_of(window);
            const ptrdiff_t rim = side / 2, wide = columns + 2 * rim;
            u8 *seen = scratch + rim * wide + rim;
            seen_object(inside, stride, plane + window[0] * plane_stride + window[2], plane_stride, rows, columns,
                        (u8)(place + 1), seen, wide, rim);
            inside = seen;
            stride = wide;
        }
        tint_object(inside, stride, window, &strength, (int)one->bare, &picture, one->values);
    }
}
