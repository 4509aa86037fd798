/* Layers of an int8 network on x86 processors with AVX2 (from 2013 on).
 *
 * ONNX Runtime's own kernels answer the same to the last bit. They take 6.5 ms of 45 for layers whose channels are
 * read each by its own filter, where 3.9 are enough, and are slow where few channels are read; see
 * docs/performance.md.
 */
#include "reading.h"

#if CONVOLVES
#include <immintrin.h>

#define QUICK __attribute__((target("avx2")))
#define INNER static inline __attribute__((always_inline, target("avx2")))
#define TOGETHER 16 /* channels */

typedef __m256i ints;

/* Sums to bytes: so many of 32 bits, in the order in which two of these make 16 of 16 bits. */
INNER __m128i narrowed(ints low, ints high, const float *factors, ints zero) {
    const __m256 one = _mm256_mul_ps(_mm256_cvtepi32_ps(low), _mm256_loadu_ps(factors));
    const __m256 other = _mm256_mul_ps(_mm256_cvtepi32_ps(high), _mm256_loadu_ps(factors + 8));
    ints words = _mm256_packs_epi32(_mm256_cvtps_epi32(one), _mm256_cvtps_epi32(other));
    words = _mm256_adds_epi16(words, zero);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/* A column of three rows: the upper two side by side, the lower one beside nothing; each of the first and the last
 * half of its channels. */
typedef struct {
    ints upper[2], lower[2];
} Column;

INNER ints words_of(const u8 *from) { return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from)); }

INNER Column column_of(const Rows *rows, ptrdiff_t x) {
    const ints first = words_of(pixel_of(rows, 0, x)), second = words_of(pixel_of(rows, 1, x));
    const ints third = words_of(pixel_of(rows, 2, x)), nothing = _mm256_setzero_si256();
    return (Column){{_mm256_unpacklo_epi16(first, second), _mm256_unpackhi_epi16(first, second)},
                    {_mm256_unpacklo_epi16(third, nothing), _mm256_unpackhi_epi16(third, nothing)}};
}

/* The compiler would add in another order, in which products have to wait in memory. */
#define IN_ORDER(sum) __asm__("" : "+x"(sum))

INNER ints added(ints sum, ints values, const int16_t *filters) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(values, _mm256_loadu_si256((const ints *)filters)));
    IN_ORDER(sum);
    return sum;
}

/* Places of a row, 16 channels: each read by its own filter of three by three. */
INNER void own(const Rows *rows, ptrdiff_t left, ptrdiff_t channels, ptrdiff_t places, int step,
               const int16_t *filters, const int32_t *sums, const float *factors, ints zero, u8 *out) {
    Column first = column_of(rows, left), second, third;
    if (step == 1) second = column_of(rows, left + 1);
    for (ptrdiff_t x = 0; x < places; x++) {
        const ptrdiff_t next = left + x * step + 2;
        if (step == 2) second = column_of(rows, next - 1);
        third = column_of(rows, next);
        __m256i sum[2];
        for (int half = 0; half < 2; half++) {
            const int16_t *own = filters + half * 16;
            ints total = _mm256_loadu_si256((const ints *)(sums + half * 8));
            total = added(total, first.upper[half], own);
            total = added(total, first.lower[half], own + 32);
            total = added(total, second.upper[half], own + 64);
            total = added(total, second.lower[half], own + 96);
            total = added(total, third.upper[half], own + 128);
            sum[half] = added(total, third.lower[half], own + 160);
        }
        _mm_storeu_si128((__m128i *)(out + x * channels), narrowed(sum[0], sum[1], factors, zero));
        if (step == 1) first = second, second = third;
        else first = third;
    }
}

QUICK static void strip_of(const Layer *layer, const Numbers *with, const Rows *whole, ptrdiff_t left, ptrdiff_t places,
                           u8 *out) {
    const ptrdiff_t channels = layer->channels;
    const int16_t *filters = (const int16_t *)with->filters;
    const ints zero = _mm256_set1_epi16((int16_t)layer->out_zero);
    const int step = (int)layer->across;
    for (ptrdiff_t c = 0; c < channels; c += TOGETHER) {
        const Rows rows = rows_of_channel(whole, c);
        const int16_t *own_filters = filters + c * 12;
        if (step == 1)
            own(&rows, left, channels, places, 1, own_filters, with->sums + c, with->factors + c, zero, out + c);
        else
            own(&rows, left, channels, places, 2, own_filters, with->sums + c, with->factors + c, zero, out + c);
    }
}

QUICK static void shallow(const Layer *layer, const Numbers *with, const u8 *picture, u8 *out, ptrdiff_t first,
                          ptrdiff_t last, u8 *room) {
    shallow_rows(layer, with, strip_of, picture, out, first, last, room);
}

/* ---- every channel by every filter ---- */

#define VECTOR 8 /* answers whose sums lie in one register */

INNER ints fourfold(const u8 *from) { return _mm256_set1_epi32(four_at(from)); }

INNER ints filters_at(const int8_t *from) { return _mm256_loadu_si256((const ints *)from); }

/* Four registers of sums to bytes, eight of each. */
INNER ints bytes_of(const ints *sums, const __m256 *factors, ints zero) {
    ints whole[4];
    for (int at = 0; at < 4; at++)
        whole[at] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[at]), factors[at]));
    const ints first = _mm256_adds_epi16(_mm256_packs_epi32(whole[0], whole[1]), zero);
    const ints second = _mm256_adds_epi16(_mm256_packs_epi32(whole[2], whole[3]), zero);
    const ints order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order);
}


/* What some places of a picture add to their sums for a piece, or for two that fit into 16 bits together. */
INNER void add(ints (*sums)[4], int places, int wide, const u8 *one, const u8 *other, ptrdiff_t step,
               const int8_t *filters, int two) {
    const ints ones = _mm256_set1_epi16(1);
    for (int place = 0; place < places; place++) {
        const ints values = fourfold(one + place * step), more = fourfold(other + place * step);
        for (int at = 0; at < wide; at++) {
            const int8_t *here = filters + at * (two ? 64 : 32);
            ints words = _mm256_maddubs_epi16(values, filters_at(here));
            if (two) words = _mm256_add_epi16(words, _mm256_maddubs_epi16(more, filters_at(here + 32)));
            sums[place][at] = _mm256_add_epi32(sums[place][at], _mm256_madd_epi16(words, ones));
        }
    }
}

/* Some answers of a row of places, whose pieces lie `step` bytes apart; at least eight.
 *
 * Products of two bytes are added in 16 bits to those beside them, which is known to be within their reach; so are
 * those of `pairs` times two pieces of four bytes, which spares a quarter of the multiplications.
 *
 * offsets: of the pieces, in the order of the filters. */
INNER void block_of(int wide, const u8 *from, ptrdiff_t step, ptrdiff_t row, const ptrdiff_t *offsets,
                    ptrdiff_t pairs, ptrdiff_t pieces, const int8_t *filters, const int32_t *begin,
                    const float *factors, ints zero, u8 *out, ptrdiff_t answers) {
    const int places = wide == 4 ? 2 : 4;
    for (ptrdiff_t x = 0; x < row; x += places) {
        if (x + places > row) x = row - places; /* Some are computed twice. */
        const u8 *there = from + x * step;
        const int8_t *next = filters;
        ints sums[4][4];
        for (int at = 0; at < wide; at++)
            for (int place = 0; place < places; place++)
                sums[place][at] = _mm256_loadu_si256((const ints *)(begin + at * VECTOR));
        ptrdiff_t at = 0;
        for (; at < 2 * pairs; at += 2, next += 64 * wide)
            add(sums, places, wide, there + offsets[at], there + offsets[at + 1], step, next, 1);
        for (; at + 1 < pieces; at += 2, next += 64 * wide) {
            add(sums, places, wide, there + offsets[at], there, step, next, 0);
            add(sums, places, wide, there + offsets[at + 1], there, step, next + 32 * wide, 0);
        }
        for (; at < pieces; at++, next += 32 * wide)
            add(sums, places, wide, there + offsets[at], there, step, next, 0);
        u8 *to = out + x * answers;
        if (wide == 4) {
            __m256 each[4];
            for (int one = 0; one < 4; one++) each[one] = _mm256_loadu_ps(factors + one * VECTOR);
            for (int place = 0; place < places; place++)
                _mm256_storeu_si256((ints *)(to + place * answers), bytes_of(sums[place], each, zero));
        } else {
            for (int one = 0; one < wide; one++) {
                const __m256 same = _mm256_loadu_ps(factors + one * VECTOR), each[4] = {same, same, same, same};
                const ints four[4] = {sums[0][one], sums[1][one], sums[2][one], sums[3][one]};
                const ints bytes = bytes_of(four, each, zero);
                const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
                u8 *here = to + one * VECTOR;
                _mm_storel_epi64((__m128i *)here, low);
                _mm_storeh_pd((double *)(here + answers), _mm_castsi128_pd(low));
                _mm_storel_epi64((__m128i *)(here + 2 * answers), high);
                _mm_storeh_pd((double *)(here + 3 * answers), _mm_castsi128_pd(high));
            }
        }
    }
}

/* All answers of a row of places. */
QUICK static void row_of(const Layer *layer, const Numbers *with, const u8 *from, ptrdiff_t step, ptrdiff_t places,
                         u8 *out) {
    const ints zero = _mm256_set1_epi16((int16_t)layer->out_zero);
    const ptrdiff_t answers = layer->answers, *here = with->offsets;
    const int8_t *filters = with->filters;
    const int32_t *block = with->blocks;
    for (ptrdiff_t at = 0; at < answers; at += block[TOGETHER_AT], block += BLOCK_NUMBERS) {
        const int wide = block[TOGETHER_AT] / VECTOR;
        const ptrdiff_t pieces = block[PIECES_AT], pairs = block[PAIRS_AT];
#define BLOCK_OF(wide)                                                                                               \
    block_of(wide, from, step, places, here, pairs, pieces, filters, with->sums + at, with->factors + at, zero,       \
             out + at, answers)
        if (wide == 4) BLOCK_OF(4);
        else if (wide == 3) BLOCK_OF(3);
        else if (wide == 2) BLOCK_OF(2);
        else BLOCK_OF(1);
#undef BLOCK_OF
        here += pieces;
        filters += block[TOGETHER_AT] * pieces * TAP;
    }
}

QUICK static void deep(const Layer *layer, const Numbers *with, const u8 *picture, u8 *out, ptrdiff_t first,
                       ptrdiff_t last, u8 *room) {
    deep_rows(layer, with, row_of, picture, out, first, last, room);
}

ptrdiff_t stream_layer_pieces(const Layer *layer, const Numbers *with) {
    ptrdiff_t pieces = layer->high * layer->wide * layer->channels / TAP;
    const int32_t *block = with->blocks;
    for (ptrdiff_t at = 0; at < layer->answers; at += block[TOGETHER_AT], block += BLOCK_NUMBERS)
        pieces += block[PIECES_AT];
    return pieces;
}

void stream_layer_offsets(const Layer *layer, const int32_t *order, ptrdiff_t pieces, ptrdiff_t *offsets) {
    const Reading how = reading_of(layer);
    const ptrdiff_t all = layer->high * layer->wide * layer->channels / TAP, count = pieces - all;
    ptrdiff_t *known = offsets + count, *next = known;
    for (ptrdiff_t y = 0; y < layer->high; y++)
        for (ptrdiff_t x = 0; x < layer->wide; x++)
            for (ptrdiff_t channel = 0; channel < layer->channels; channel += TAP)
                *next++ = y * layer->apart_down * how.pitch + x * layer->apart_across * layer->channels + channel;
    for (ptrdiff_t at = 0; at < count; at++) offsets[at] = known[order[at]];
}

#define FUSED __attribute__((target("avx2,fma")))
#define INNER_FUSED static inline __attribute__((always_inline, target("avx2,fma")))

/* Eight answers and eight others in whole numbers; as ONNX Runtime's QLinearAdd does it, step by step. */
INNER_FUSED ints eight_added(const u8 *own, const u8 *other, const Sum *sum) {
    const __m256 mine = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)own)));
    const __m256 theirs = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)other)));
    const __m256 of_mine = _mm256_set1_ps(sum->own), of_theirs = _mm256_set1_ps(sum->others);
    const __m256 fixed = _mm256_set1_ps(sum->fixed);
    const __m256 all = sum->own_first ? _mm256_fmadd_ps(theirs, of_theirs, _mm256_fmadd_ps(mine, of_mine, fixed))
                                     : _mm256_fmadd_ps(mine, of_mine, _mm256_fmadd_ps(theirs, of_theirs, fixed));
    return _mm256_cvtps_epi32(all);
}

INNER_FUSED void block_added(u8 *out, const u8 *other, const Sum *sum) {
    const ints first = _mm256_packs_epi32(eight_added(out, other, sum), eight_added(out + 8, other + 8, sum));
    const ints second = _mm256_packs_epi32(eight_added(out + 16, other + 16, sum), eight_added(out + 24, other + 24, sum));
    const ints order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((ints *)out, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order));
}

FUSED void stream_layer_sum(const Sum *sum, u8 *out, ptrdiff_t first, ptrdiff_t last) {
    ptrdiff_t at = first;
    for (; at + BLOCK <= last; at += BLOCK) block_added(out + at, sum->other + at, sum);
    if (at < last) {
        u8 rest[2][BLOCK] = {{0}};
        memcpy(rest[0], out + at, (size_t)(last - at));
        memcpy(rest[1], sum->other + at, (size_t)(last - at));
        block_added(rest[0], rest[1], sum);
        memcpy(out + at, rest[0], (size_t)(last - at));
    }
}

VISIBLE int stream_convolves(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return stream_has_vnni() ? VNNI : PAIRED;
}

ptrdiff_t stream_layer_room(const Layer *layer, int every) {
    const Reading how = reading_of(layer);
    if (!every) return layer->channels;
    return rows_read(layer, &how, how.together) * how.wide * layer->channels + PLACES * layer->answers;
}

void stream_layer(const Layer *layer, const Numbers *with, int every, const u8 *picture, u8 *out, ptrdiff_t first,
                  ptrdiff_t last, u8 *room) {
    if (with->way == VNNI) stream_vnni_layer(layer, with, every, picture, out, first, last, room);
    else if (every) deep(layer, with, picture, out, first, last, room);
    else shallow(layer, with, picture, out, first, last, room);
}

#else

VISIBLE int stream_convolves(void) { return 0; }

#endif

/* Which pieces of four bytes are added in 16 bits, of some answers, so that no sum is out of reach.
 *
 * Of those that fit to the fewest others the fewest are left over. Two fit where, for each answer, and for either
 * half of the pieces, what is above zero of both filters comes to 128 at most, and what is below.
 *
 * filters: of each piece so many answers of 4 bytes; order: first those pairs, then the others; room: a byte for each
 * pair of pieces, for each piece 4 for each answer and 5, and 4 for each answer. Returns the pairs. */
EXPORT int64_t stream_paired(const int8_t *filters, int64_t pieces, int64_t answers, int32_t *order, u8 *room) {
    const ptrdiff_t count = (ptrdiff_t)pieces, sides = 4 * (ptrdiff_t)answers;
    int32_t *number = (int32_t *)room;
    u8 *parts = room + 4 * count, *fit = parts + count * sides, *taken = fit + count * count, *left = taken + count;
    memset(parts, 0, (size_t)(count * sides));
    for (ptrdiff_t piece = 0; piece < count; piece++) {
        number[piece] = 0;
        taken[piece] = 0;
        for (ptrdiff_t at = 0; at < sides; at++) {
            const int value = filters[piece * sides + at];
            u8 *part = parts + piece * sides + at / 2 * 2 + (value < 0);
            const int sum = *part + (value < 0 ? -value : value);
            *part = (u8)(sum < 255 ? sum : 255);
        }
    }
    for (ptrdiff_t one = 0; one < count; one++) {
        for (ptrdiff_t at = 0; at < sides; at++) {
            const u8 part = parts[one * sides + at];
            left[at] = part < 128 ? 128 - part : 0;
        }
        fit[one * count + one] = 0;
        for (ptrdiff_t other = 0; other < one; other++) {
            u8 beyond = 0;
            for (ptrdiff_t at = 0; at < sides; at++) beyond |= parts[other * sides + at] > left[at];
            fit[one * count + other] = fit[other * count + one] = !beyond;
            number[one] += !beyond;
            number[other] += !beyond;
        }
    }
    ptrdiff_t pairs = 0;
    for (;;) {
        ptrdiff_t best[2] = {-1, -1};
        for (ptrdiff_t at = 0; at < count; at++)
            if (!taken[at] && number[at] > 0 && (best[0] < 0 || number[at] < number[best[0]])) best[0] = at;
        if (best[0] < 0) break;
        for (ptrdiff_t at = 0; at < count; at++)
            if (!taken[at] && fit[best[0] * count + at] && (best[1] < 0 || number[at] < number[best[1]])) best[1] = at;
        for (int side = 0; side < 2; side++) {
            taken[best[side]] = 1;
            order[2 * pairs + side] = (int32_t)best[side];
            for (ptrdiff_t at = 0; at < count; at++) number[at] -= fit[best[side] * count + at];
        }
        pairs++;
    }
    ptrdiff_t next = 2 * pairs;
    for (ptrdiff_t at = 0; at < count; at++)
        if (!taken[at]) order[next++] = (int32_t)at;
    return pairs;
}
