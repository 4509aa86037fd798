/* Covering the objects of a frame, and what was covered lately where they still stand, in one call. */
#include "common.h"

void stream_stand(ptrdiff_t count, const float *boxes, ptrdiff_t others_count, const float *others, float share,
                  int64_t *likest);
void stream_join(u8 *bare, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t count, const int64_t *items, u8 *scratch);
void stream_cover(const u8 *bare, int side, ptrdiff_t height, ptrdiff_t width, int count, const int64_t *places,
                  ptrdiff_t block, void *scratch);

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
