/* A model's input from a decoded picture: its planes are resized, a row at a time, and mixed into colours.
 *
 * What comes of it is what FFmpeg's swscale and OpenCV's transform make, one after the other, to the last bit: sums
 * along a row are cut to 15 bits, sums of rows are rounded to 8, colours are cut after 10 bits of fractions.
 * stream/inference/own_input.py lays out which samples are read and what each weighs.
 */
#include "common.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define GROUP 16  /* places of a row that are computed together */
#define LOADED 16 /* samples that are looked at for a quarter of them */
#define QUARTERS 4
#define TAPS 4    /* samples that are weighed at once for a place */
#define MOST_DEEP 64

/* Of one plane; see resample.py. */
typedef struct {
    const u8 *samples;
    ptrdiff_t stride;
    const int32_t *starts;  /* for each group, piece and quarter: the first sample that is loaded */
    const int8_t *picks;    /* likewise, of what is loaded each place's samples */
    const int16_t *weights; /* likewise, what they weigh, of 16384 */
    ptrdiff_t pieces;
    const int32_t *firsts;  /* for each row of the input, the first that it is made of */
    const int16_t *shares;  /* likewise, how much of each is taken, of 4096 */
    ptrdiff_t deep;         /* rows that it is made of, an even number */
    ptrdiff_t rows;
    int16_t *room;          /* rows that are resized already, `deep` of them */
    ptrdiff_t next;         /* the row that is to be resized next */
} Plane;

/* The rows of a plane, resized already, that a row of the input is made of, and two shares each. */
typedef struct {
    const int16_t *rows[MOST_DEEP];
    int32_t shares[MOST_DEEP / 2];
    ptrdiff_t pairs;
} Rows;

#ifdef __AVX2__
typedef __m256i ints;

/* Eight places, quarters `one` and `other` of a group, of one piece of their samples. */
INLINE ints eighth(const Plane *plane, const u8 *row, ptrdiff_t at, ptrdiff_t one, ptrdiff_t other, ints sum) {
    const int32_t *starts = plane->starts + at * QUARTERS;
    const int8_t *picks = plane->picks + at * QUARTERS * LOADED;
    const int16_t *weights = plane->weights + at * QUARTERS * LOADED;
    const ints loaded = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(row + starts[one]))),
        _mm_loadu_si128((const __m128i *)(row + starts[other])), 1);
    const ints which = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(picks + one * LOADED))),
        _mm_loadu_si128((const __m128i *)(picks + other * LOADED)), 1);
    const ints picked = _mm256_shuffle_epi8(loaded, which);
    /* Weights lie as the sums want them: first those of even samples of both quarters, then of odd ones. */
    const ints even = _mm256_and_si256(picked, _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(picked, 8);
    weights += (one ? 2 : 0) * LOADED;
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, _mm256_loadu_si256((const ints *)weights)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, _mm256_loadu_si256((const ints *)(weights + LOADED))));
}

/* One row of a plane with as many places as the input has. */
INLINE void across(const Plane *plane, ptrdiff_t y, int16_t *out, ptrdiff_t groups, ptrdiff_t pieces) {
    const u8 *row = plane->samples + y * plane->stride;
    for (ptrdiff_t group = 0; group < groups; group++) {
        ints first = _mm256_setzero_si256(), second = first;
        for (ptrdiff_t piece = 0; piece < pieces; piece++) {
            first = eighth(plane, row, group * pieces + piece, 0, 2, first);
            second = eighth(plane, row, group * pieces + piece, 1, 3, second);
        }
        const ints both = _mm256_packs_epi32(_mm256_srai_epi32(first, 7), _mm256_srai_epi32(second, 7));
        _mm256_storeu_si256((ints *)(out + group * GROUP), both);
    }
}

/* A group of one row of the input, in words of 0 to 255. */
INLINE ints down(const Rows *from, ptrdiff_t group, ptrdiff_t pairs) {
    ints low = _mm256_set1_epi32(1 << 18), high = low;
    for (ptrdiff_t pair = 0; pair < pairs; pair++) {
        const ints shares = _mm256_set1_epi32(from->shares[pair]);
        const ints one = _mm256_loadu_si256((const ints *)(from->rows[2 * pair] + group * GROUP));
        const ints other = _mm256_loadu_si256((const ints *)(from->rows[2 * pair + 1] + group * GROUP));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(one, other), shares));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(one, other), shares));
    }
    const ints words = _mm256_packs_epi32(_mm256_srai_epi32(low, 19), _mm256_srai_epi32(high, 19));
    return _mm256_min_epi16(words, _mm256_set1_epi16(255));
}

/* What Y, U and V weigh in a colour, and what is added. */
typedef struct {
    ints yu, v, above;
} Colour;

INLINE Colour colour_of(const int32_t *weights) {
    const uint32_t yu = ((uint32_t)weights[1] << 16) | ((uint32_t)weights[0] & 0xFFFF);
    return (Colour){_mm256_set1_epi32((int32_t)yu), _mm256_set1_epi32(weights[2] & 0xFFFF), _mm256_set1_epi32(weights[3])};
}

/* One colour of a group, in words that may lie beyond 0 and 255. */
INLINE ints mixed_colour(const ints yu[2], const ints v[2], const Colour *of) {
    ints halves[2];
    for (int half = 0; half < 2; half++) {
        const ints sum = _mm256_add_epi32(_mm256_madd_epi16(yu[half], of->yu), _mm256_madd_epi16(v[half], of->v));
        halves[half] = _mm256_srai_epi32(_mm256_add_epi32(sum, of->above), 10);
    }
    return _mm256_packs_epi32(halves[0], halves[1]);
}

/* Sixteen pixels of three bytes. */
INLINE void group_mixed(ints y, ints u, ints v, const Colour colours[3], u8 *out) {
    const ints none = _mm256_setzero_si256();
    const ints yu[2] = {_mm256_unpacklo_epi16(y, u), _mm256_unpackhi_epi16(y, u)};
    const ints vs[2] = {_mm256_unpacklo_epi16(v, none), _mm256_unpackhi_epi16(v, none)};
    /* In each half, eight reds and eight greens, and eight blues twice. */
    const ints blue = mixed_colour(yu, vs, colours + 2);
    const ints rg = _mm256_packus_epi16(mixed_colour(yu, vs, colours), mixed_colour(yu, vs, colours + 1));
    const ints b = _mm256_packus_epi16(blue, blue);
    const ints rg_first = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, -1, 1, 9, -1, 2, 10, -1, 3, 11, -1, 4, 12, -1, 5));
    const ints b_first = _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1));
    const ints rg_last = _mm256_broadcastsi128_si256(_mm_setr_epi8(13, -1, 6, 14, -1, 7, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    const ints b_last = _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, -1, -1, -1, -1, -1, -1));
    const ints first = _mm256_or_si256(_mm256_shuffle_epi8(rg, rg_first), _mm256_shuffle_epi8(b, b_first));
    const ints last = _mm256_or_si256(_mm256_shuffle_epi8(rg, rg_last), _mm256_shuffle_epi8(b, b_last));
    _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(first));
    _mm_storel_epi64((__m128i *)(out + 16), _mm256_castsi256_si128(last));
    _mm_storeu_si128((__m128i *)(out + 24), _mm256_extracti128_si256(first, 1));
    _mm_storel_epi64((__m128i *)(out + 40), _mm256_extracti128_si256(last, 1));
}

/* One row of the input; pairs: of rows that luma is made of, and chroma. */
INLINE void row_mixed(const Rows from[3], ptrdiff_t luma, ptrdiff_t chroma, ptrdiff_t columns, const int32_t *weights,
                      u8 *out) {
    const Colour colours[3] = {colour_of(weights), colour_of(weights + 4), colour_of(weights + 8)};
    const ptrdiff_t whole = columns / GROUP;
    for (ptrdiff_t group = 0; group < whole; group++, out += 3 * GROUP)
        group_mixed(down(from, group, luma), down(from + 1, group, chroma), down(from + 2, group, chroma), colours, out);
    if (columns % GROUP) {
        u8 last[3 * GROUP];
        group_mixed(down(from, whole, luma), down(from + 1, whole, chroma), down(from + 2, whole, chroma), colours, last);
        memcpy(out, last, (size_t)(3 * (columns % GROUP)));
    }
}

INLINE void row_of_pairs(const Rows from[3], ptrdiff_t columns, const int32_t *weights, u8 *out) {
    /* Known numbers of rows are loops that the compiler writes out. */
    const ptrdiff_t luma = from[0].pairs, chroma = from[1].pairs;
    if (luma == 2 && chroma == 2) row_mixed(from, 2, 2, columns, weights, out);
    else if (luma == 1 && chroma == 1) row_mixed(from, 1, 1, columns, weights, out);
    else row_mixed(from, luma, chroma, columns, weights, out);
}

#else

INLINE void across(const Plane *plane, ptrdiff_t y, int16_t *out, ptrdiff_t groups, ptrdiff_t pieces) {
    const u8 *row = plane->samples + y * plane->stride;
    for (ptrdiff_t x = 0; x < groups * GROUP; x++) {
        const ptrdiff_t group = x / GROUP, quarter = x % GROUP / QUARTERS, place = x % QUARTERS;
        int32_t sum = 0;
        for (ptrdiff_t piece = 0; piece < pieces; piece++) {
            const ptrdiff_t at = (group * pieces + piece) * QUARTERS;
            for (ptrdiff_t tap = 0; tap < TAPS; tap++) {
                const int8_t pick = plane->picks[(at + quarter) * LOADED + place * TAPS + tap];
                /* As the sums of the other way want them. */
                const ptrdiff_t side = (quarter % 2 * 2 + tap % 2) * LOADED;
                const ptrdiff_t lane = quarter / 2 * 8 + place * 2 + tap / 2;
                if (pick >= 0) sum += row[plane->starts[at + quarter] + pick] * plane->weights[at * LOADED + side + lane];
            }
        }
        sum >>= 7;
        out[x] = (int16_t)(sum < 32767 ? sum : 32767);
    }
}

INLINE int down(const Rows *from, ptrdiff_t x) {
    int32_t sum = 1 << 18;
    for (ptrdiff_t pair = 0; pair < from->pairs; pair++) {
        int16_t shares[2];
        memcpy(shares, from->shares + pair, sizeof(shares));
        sum += from->rows[2 * pair][x] * shares[0] + from->rows[2 * pair + 1][x] * shares[1];
    }
    sum >>= 19;
    return sum < 255 ? sum : 255;
}

INLINE void row_of_pairs(const Rows from[3], ptrdiff_t columns, const int32_t *weights, u8 *out) {
    for (ptrdiff_t x = 0; x < columns; x++) {
        const int luma = down(from, x), u = down(from + 1, x), v = down(from + 2, x);
        for (int colour = 0; colour < 3; colour++) {
            const int32_t *of = weights + 4 * colour;
            const int32_t value = (luma * of[0] + u * of[1] + v * of[2] + of[3]) >> 10;
            *out++ = (u8)(value < 0 ? 0 : value < 255 ? value : 255);
        }
    }
}

#endif

/* Resizes rows up to one; what is there of older ones is written over. */
INLINE void resized_until(Plane *plane, ptrdiff_t last, ptrdiff_t groups) {
    const ptrdiff_t first = last - plane->deep;
    if (plane->next < first) plane->next = first;
    for (; plane->next < last; plane->next++) {
        /* Below the last row is what weighs nothing. */
        const ptrdiff_t row = plane->next < plane->rows ? plane->next : plane->rows - 1;
        int16_t *to = plane->room + plane->next % plane->deep * groups * GROUP;
        if (plane->pieces == 1) across(plane, row, to, groups, 1);
        else across(plane, row, to, groups, plane->pieces);
    }
}

/* Whether that is quicker than what it stands for: with AVX2 it is. */
EXPORT int stream_resamples(void) {
#ifdef __AVX2__
    return 1;
#else
    return 0;
#endif
}

/* told: of each plane its numbers in the order of `Plane`, addresses among them, up to its rows; weights: of Y, U and V
 * and what is added, in 1024ths, of each colour; out: rows of RGB, `stride` bytes apart; room: two bytes for each
 * place of each row that a row is made of, places in whole groups. */
EXPORT void stream_resample(const int64_t *told, const int32_t *weights, u8 *out, ptrdiff_t stride, ptrdiff_t rows,
                            ptrdiff_t columns, int16_t *room) {
    const ptrdiff_t groups = (columns + GROUP - 1) / GROUP, wide = groups * GROUP;
    Plane planes[3];
    for (int at = 0; at < 3; at++, told += 10) {
        Plane *plane = planes + at;
        plane->samples = (const u8 *)(intptr_t)told[0];
        plane->stride = (ptrdiff_t)told[1];
        plane->starts = (const int32_t *)(intptr_t)told[2];
        plane->picks = (const int8_t *)(intptr_t)told[3];
        plane->weights = (const int16_t *)(intptr_t)told[4];
        plane->pieces = (ptrdiff_t)told[5];
        plane->firsts = (const int32_t *)(intptr_t)told[6];
        plane->shares = (const int16_t *)(intptr_t)told[7];
        plane->deep = (ptrdiff_t)told[8];
        plane->rows = (ptrdiff_t)told[9];
        plane->room = room;
        plane->next = 0;
        room += plane->deep * wide;
    }
    for (ptrdiff_t y = 0; y < rows; y++, out += stride) {
        Rows from[3];
        for (int at = 0; at < 3; at++) {
            resized_until(planes + at, planes[at].firsts[y] + planes[at].deep, groups);
            from[at].pairs = planes[at].deep / 2;
            for (ptrdiff_t row = 0; row < planes[at].deep; row++)
                from[at].rows[row] = planes[at].room + (planes[at].firsts[y] + row) % planes[at].deep * wide;
            memcpy(from[at].shares, planes[at].shares + y * planes[at].deep, 2 * (size_t)planes[at].deep);
        }
        row_of_pairs(from, columns, weights, out);
    }
}
