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

/* The cells that objects of some frames take together with those of a later one, each with whom it stands with.
 *
 * items, later_items: of each what `stream_join` takes; boxes, later_boxes: x1, y1, x2, y2 of each.
 * share: of what two boxes take together, that makes them stand in one place.
 * made, made_boxes: become the same of all, with the later box of two; there is room for each of both, and of made for two
 * numbers more of each.
 * out: becomes their cells, one after the other; words: how many words these are.
 * returns: how many objects there are.
 */
EXPORT int64_t stream_unite(ptrdiff_t count, const int64_t *items, const float *boxes, ptrdiff_t later_count,
                            const int64_t *later_items, const float *later_boxes, float share, int64_t *made,
                            float *made_boxes, uint64_t *out, int64_t *words) {
    int64_t *const places = made + 8 * (count + later_count), all = count;
    memcpy(made, items, (size_t)count * 8 * sizeof(int64_t));
    memcpy(made_boxes, boxes, (size_t)count * 4 * sizeof(float));
    stream_stand(later_count, later_boxes, count, boxes, share, places);
    for (ptrdiff_t one = 0; one < later_count; one++) {
        const int64_t *const item = later_items + 8 * one;
        const int alone = places[one] < 0;
        if (alone) places[one] = all++;
        int64_t *const own = made + 8 * places[one];
        memcpy(made_boxes + 4 * places[one], later_boxes + 4 * one, 4 * sizeof(float));
        if (alone) memcpy(own, item, 8 * sizeof(int64_t));
        for (int edge = 0; edge < 4; edge += 2) {
            own[edge] = item[edge] < own[edge] ? item[edge] : own[edge];
            own[edge + 1] = item[edge + 1] > own[edge + 1] ? item[edge + 1] : own[edge + 1];
        }
        if (item[6] > own[6]) memcpy(own + 6, item + 6, 2 * sizeof(int64_t));
    }
    uint64_t *next = out;
    for (ptrdiff_t one = 0; one < all; one++) {
        int64_t *const own = made + 8 * one;
        own[4] = (int64_t)(intptr_t)next;
        own[5] = words_between(own[2], own[3]) * (int64_t)sizeof(uint64_t);
        next += words_between(own[2], own[3]) * (own[1] - own[0]);
    }
    *words = next - out;
    memset(out, 0, (size_t)*words * sizeof(uint64_t));
    for (ptrdiff_t one = 0; one < count + later_count; one++) {
        const int64_t *const item = one < count ? items + 8 * one : later_items + 8 * (one - count);
        const int64_t *const own = made + 8 * (one < count ? one : places[one - count]);
        const int64_t wide = words_between(item[2], item[3]), beside = item[2] / WORD - own[2] / WORD;
        for (int64_t line = 0; line < item[1] - item[0]; line++) {
            const uint64_t *const from = (const uint64_t *)((intptr_t)item[4] + line * item[5]);
            uint64_t *const to = (uint64_t *)((intptr_t)own[4] + (item[0] - own[0] + line) * own[5]) + beside;
            for (int64_t word = 0; word < wide; word++) to[word] |= from[word];
        }
    }
    return all;
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
