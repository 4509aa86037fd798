/* Covering the objects of a frame, and what was covered lately where they still stand, in one call. */
#include "common.h"

void stream_join(u8 *bare, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t count, const int64_t *items, u8 *scratch);
void stream_cover(const u8 *bare, int side, ptrdiff_t height, ptrdiff_t width, int count, const int64_t *places,
                  ptrdiff_t block, void *scratch);

/* Which of some boxes lies most where each of others does, by what of both together they share; -1 where that is less.
 *
 * boxes, others: x1, y1, x2, y2 of each; share: of what they take together.
 */
EXPORT void stream_stand(ptrdiff_t count, const float *boxes, ptrdiff_t others_count, const float *others, float share,
                         int64_t *likest) {
    for (ptrdiff_t one = 0; one < count; one++) {
        const float *a = boxes + 4 * one, area = (a[2] - a[0]) * (a[3] - a[1]);
        float most = -1;
        int unknown = 0;
        likest[one] = -1;
        for (ptrdiff_t other = 0; other < others_count; other++) {
            const float *b = others + 4 * other;
            const float left = a[0] > b[0] ? a[0] : b[0], top = a[1] > b[1] ? a[1] : b[1];
            const float right = a[2] < b[2] ? a[2] : b[2], bottom = a[3] < b[3] ? a[3] : b[3];
            const float wide = right - left > 0 ? right - left : 0, high = bottom - top > 0 ? bottom - top : 0;
            const float shared = wide * high, whole = area + (b[2] - b[0]) * (b[3] - b[1]) - shared;
            const float overlap = shared / (whole > 1e-6f ? whole : whole == whole ? 1e-6f : whole);
            unknown |= overlap != overlap;
            if (overlap > most) most = overlap, likest[one] = other;
        }
        if (unknown || !(most >= share)) likest[one] = -1;
    }
}

/* Covers objects and those of frames before, if each of these stands where one of them does; returns whether.
 *
 * items: of each what `stream_join` takes; boxes: x1, y1, x2, y2 of each.
 * before: of each of so many frames where boxes lie in memory, where items lie, and how many.
 * share: of what two boxes take together, that makes them stand in one place.
 * side, height, width, planes, places, block: what `stream_cover` takes.
 * scratch: 64 bytes for each object of all frames, one for each cell up to a multiple of 8, then the more of what
 * `stream_join` and `stream_cover` take.
 */
VISIBLE int stream_conceal(ptrdiff_t count, const int64_t *items, const float *boxes, ptrdiff_t frames,
                           const int64_t *before, float share, int side, ptrdiff_t height, ptrdiff_t width, int planes,
                           const int64_t *places, ptrdiff_t block, u8 *scratch) {
    const ptrdiff_t rows = (height + side - 1) / side, columns = (width + side - 1) / side;
    int64_t *const all = (int64_t *)scratch;
    ptrdiff_t sum = count;
    memcpy(all, items, (size_t)count * 8 * sizeof(int64_t));
    for (ptrdiff_t frame = 0; frame < frames; frame++, before += 3) {
        const ptrdiff_t some = (ptrdiff_t)before[2];
        int64_t *const own = all + 8 * sum; /* in whose place it says first where they stand */
        stream_stand(some, (const float *)(intptr_t)before[0], count, boxes, share, own);
        for (ptrdiff_t one = 0; one < some; one++)
            if (own[one] < 0) return 0;
        memcpy(own, (const int64_t *)(intptr_t)before[1], (size_t)some * 8 * sizeof(int64_t));
        sum += some;
    }
    u8 *const bare = (u8 *)(all + 8 * sum), *const more = bare + (rows * columns + 7) / 8 * 8;
    stream_join(bare, rows, columns, sum, all, more);
    stream_cover(bare, side, height, width, planes, places, block, more);
    return 1;
}
