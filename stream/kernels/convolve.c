/* Layers of an int8 network on x86 processors with AVX2 (from 2013 on).
 *
 * ONNX Runtime's own kernels answer the same to the last bit. They take 6.5 ms of 45 for layers whose channels are
 * read each by its own filter, where 3.9 are enough, and are slow where few channels are read; see
 * docs/performance.md.
 */
#include "convolve.h"

#if CONVOLVES
#include <immintrin.h>

#define QUICK __attribute__((target("avx2")))
#define INNER static inline __attribute__((always_inline, target("avx2")))
#define STRIP 16 /* places of a row that are computed while what they read is at hand */
#define TOGETHER 16 /* channels */
#define TAP 4 /* channels whose products are added at once */

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

INNER Column column_of(const u8 *from, ptrdiff_t pitch) {
    const ints first = words_of(from), second = words_of(from + pitch), third = words_of(from + 2 * pitch);
    const ints nothing = _mm256_setzero_si256();
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
INNER void own(const u8 *from, ptrdiff_t pitch, ptrdiff_t channels, ptrdiff_t places, int step,
               const int16_t *filters, const int32_t *sums, const float *factors, ints zero, u8 *out) {
    Column first = column_of(from, pitch), second, third;
    if (step == 1) second = column_of(from + channels, pitch);
    for (ptrdiff_t x = 0; x < places; x++) {
        const u8 *next = from + (x * step + 2) * channels;
        if (step == 2) second = column_of(next - channels, pitch);
        third = column_of(next, pitch);
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

/* What some places of a row read, with what is around the picture; rows of so many columns. */
INNER void gathered(const Layer *layer, const u8 *picture, ptrdiff_t top, ptrdiff_t left, ptrdiff_t high,
                    ptrdiff_t columns, u8 *room) {
    const ptrdiff_t channels = layer->channels;
    for (ptrdiff_t y = 0; y < high; y++, room += columns * channels) {
        const ptrdiff_t row = top + y;
        if (row < 0 || row >= layer->rows) {
            memset(room, layer->zero, (size_t)(columns * channels));
            continue;
        }
        ptrdiff_t begin = left < 0 ? -left : 0, end = layer->columns - left;
        end = end > columns ? columns : end < 0 ? 0 : end;
        if (begin > columns) begin = columns;
        if (end < begin) end = begin;
        memset(room, layer->zero, (size_t)(begin * channels));
        memcpy(room + begin * channels, picture + (row * layer->columns + left + begin) * channels,
               (size_t)((end - begin) * channels));
        memset(room + end * channels, layer->zero, (size_t)((columns - end) * channels));
    }
}

QUICK static void shallow(const Layer *layer, const Numbers *with, const u8 *picture, u8 *out, ptrdiff_t first,
                          ptrdiff_t last, u8 *room) {
    const ptrdiff_t channels = layer->channels;
    const int16_t *filters = (const int16_t *)with->filters;
    const ints zero = _mm256_set1_epi16((int16_t)layer->out_zero);
    const int step = (int)layer->across;
    for (ptrdiff_t y = first; y < last; y++) {
        const ptrdiff_t top = y * layer->down - layer->above;
        for (ptrdiff_t x = 0; x < layer->out_columns; x += STRIP) {
            const ptrdiff_t places = layer->out_columns - x < STRIP ? layer->out_columns - x : STRIP;
            const ptrdiff_t left = x * step - layer->left, columns = (places - 1) * step + 3;
            const u8 *from = picture + (top * layer->columns + left) * channels;
            ptrdiff_t pitch = layer->columns * channels;
            if (top < 0 || top + 3 > layer->rows || left < 0 || left + columns > layer->columns) {
                gathered(layer, picture, top, left, 3, columns, room);
                from = room;
                pitch = columns * channels;
            }
            u8 *to = out + (y * layer->out_columns + x) * channels;
            for (ptrdiff_t c = 0; c < channels; c += TOGETHER) {
                const int16_t *own_filters = filters + c * 12;
                if (step == 1)
                    own(from + c, pitch, channels, places, 1, own_filters, with->sums + c, with->factors + c, zero,
                        to + c);
                else
                    own(from + c, pitch, channels, places, 2, own_filters, with->sums + c, with->factors + c, zero,
                        to + c);
            }
        }
    }
}

/* ---- every channel by every filter ---- */

#define PLACES 8 /* of a picture, that a row has at least */
#define VECTOR 8 /* answers whose sums lie in one register */

INNER ints fourfold(const u8 *from) {
    int32_t value;
    memcpy(&value, from, sizeof(value));
    return _mm256_set1_epi32(value);
}

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

/* How many registers of answers are computed together next, of so many answers that are left. */
INLINE int wide_of(ptrdiff_t answers) {
    if (answers % (3 * VECTOR) == 0) return 3;
    if (answers % (4 * VECTOR) == 0) return 4;
    return answers >= 6 * VECTOR ? 3 : answers >= 4 * VECTOR ? 4 : answers >= 2 * VECTOR ? 2 : 1;
}

VISIBLE int64_t stream_answers_together(int64_t answers) { return wide_of((ptrdiff_t)answers) * VECTOR; }

/* All answers of a row of places. */
INNER void row_of(const Layer *layer, const Numbers *with, const u8 *from, ptrdiff_t step, ptrdiff_t places,
                  ptrdiff_t pieces, ints zero, u8 *out) {
    const ptrdiff_t answers = layer->answers;
    for (ptrdiff_t at = 0, block = 0; at < answers; block++) {
        const int wide = wide_of(answers - at);
        const ptrdiff_t *here = with->offsets + block * pieces;
        const ptrdiff_t pairs = with->pairs[block];
        const int8_t *filters = with->filters + at * pieces * TAP;
#define BLOCK_OF(wide)                                                                                               \
    block_of(wide, from, step, places, here, pairs, pieces, filters, with->sums + at, with->factors + at, zero,       \
             out + at, answers)
        if (wide == 4) BLOCK_OF(4);
        else if (wide == 3) BLOCK_OF(3);
        else if (wide == 2) BLOCK_OF(2);
        else BLOCK_OF(1);
#undef BLOCK_OF
        at += wide * VECTOR;
    }
}

/* How a layer's rows are read. */
typedef struct {
    ptrdiff_t places; /* of a row that are computed */
    ptrdiff_t high, wide, pitch;
    int around; /* whether what is around the picture is looked at, so that rows are copied */
    int narrow; /* whether a row has too few places */
    int single; /* whether each place reads its own pixel alone, so that rows are one */
} Reading;

static Reading reading_of(const Layer *layer) {
    Reading told;
    told.narrow = layer->out_columns < PLACES;
    told.single = !told.narrow && layer->high * layer->wide * layer->down * layer->across == 1 && !layer->above &&
                  !layer->left;
    told.places = told.narrow ? PLACES : layer->out_columns;
    told.high = (layer->high - 1) * layer->apart_down + 1;
    told.wide = (told.places - 1) * layer->across + (layer->wide - 1) * layer->apart_across + 1;
    told.around = layer->above || layer->left || told.wide > layer->columns ||
                  (layer->out_rows - 1) * layer->down + told.high > layer->rows;
    told.pitch = (told.around ? told.wide : layer->columns) * layer->channels;
    return told;
}

QUICK static void deep(const Layer *layer, const Numbers *with, const u8 *picture, u8 *out, ptrdiff_t first,
                       ptrdiff_t last, u8 *room) {
    const Reading how = reading_of(layer);
    const ptrdiff_t channels = layer->channels, answers = layer->answers;
    const ptrdiff_t pieces = layer->high * layer->wide * channels / TAP;
    const ints zero = _mm256_set1_epi16((int16_t)layer->out_zero);
    if (how.single) {
        row_of(layer, with, picture + first * how.pitch, channels, (last - first) * layer->out_columns, pieces, zero,
               out + first * layer->out_columns * answers);
        return;
    }
    u8 *aside = room + how.high * how.pitch;
    for (ptrdiff_t y = first; y < last; y++) {
        const ptrdiff_t top = y * layer->down - layer->above;
        const u8 *from = room;
        u8 *to = out + y * layer->out_columns * answers;
        if (how.around) gathered(layer, picture, top, -layer->left, how.high, how.wide, room);
        else from = picture + top * how.pitch;
        row_of(layer, with, from, layer->across * channels, how.places, pieces, zero, how.narrow ? aside : to);
        if (how.narrow) memcpy(to, aside, (size_t)(layer->out_columns * answers));
    }
}

static ptrdiff_t blocks_of(ptrdiff_t answers) {
    ptrdiff_t blocks = 0;
    for (; answers > 0; blocks++) answers -= wide_of(answers) * VECTOR;
    return blocks;
}

ptrdiff_t stream_layer_pieces(const Layer *layer) {
    return layer->high * layer->wide * layer->channels / TAP * (blocks_of(layer->answers) + 1);
}

ptrdiff_t stream_layer_offsets(const Layer *layer, const int32_t *order, ptrdiff_t *offsets) {
    const Reading how = reading_of(layer);
    const ptrdiff_t blocks = blocks_of(layer->answers), pieces = layer->high * layer->wide * layer->channels / TAP;
    ptrdiff_t *known = offsets + blocks * pieces, *next = known;
    for (ptrdiff_t y = 0; y < layer->high; y++)
        for (ptrdiff_t x = 0; x < layer->wide; x++)
            for (ptrdiff_t channel = 0; channel < layer->channels; channel += TAP)
                *next++ = y * layer->apart_down * how.pitch + x * layer->apart_across * layer->channels + channel;
    for (ptrdiff_t at = 0; at < blocks * pieces; at++) offsets[at] = known[order[at]];
    return blocks * pieces;
}

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

VISIBLE int stream_convolves(void) { return __builtin_cpu_supports("avx2") != 0; }

ptrdiff_t stream_layer_room(const Layer *layer) {
    const Reading how = reading_of(layer);
    return how.high * how.wide * layer->channels + PLACES * layer->answers;
}

void stream_layer(const Layer *layer, const Numbers *with, int every, const u8 *picture, u8 *out, ptrdiff_t first,
                  ptrdiff_t last, u8 *room) {
    if (every) deep(layer, with, picture, out, first, last, room);
    else shallow(layer, with, picture, out, first, last, room);
}

#else

VISIBLE int stream_convolves(void) { return 0; }

#endif
