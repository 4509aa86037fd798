/* What the compiled loops of painting share.
 *
 * Samples are bytes; strides are in bytes and may be negative (a picture that lies upside down). All of it is whole
 * numbers, or floats that are not contracted, so that results are the same on every processor, and the same as what
 * `stream.compositing` computes where nothing was compiled. It takes GCC or Clang, whose vectors it is written in.
 */
#ifndef STREAM_COMMON_H
#define STREAM_COMMON_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define VISIBLE __declspec(dllexport)
#else
#define VISIBLE
#endif

#define EXPORT VISIBLE

#pragma GCC diagnostic ignored "-Wpsabi" /* Vectors are handed over to inlined functions only. */

#define INLINE static inline __attribute__((always_inline))

#define BLOCK 32        /* samples that are looked at together */
#define HALF (BLOCK / 2)
#define LANES 8         /* numbers that are reckoned together */
#define MOST_WIDE 16384 /* of a window */

typedef uint8_t u8;
typedef uint16_t u16;
typedef u8 bytes __attribute__((vector_size(BLOCK), aligned(1), may_alias));
typedef u8 half_bytes __attribute__((vector_size(HALF), aligned(1), may_alias));
typedef u16 words __attribute__((vector_size(2 * HALF), aligned(1), may_alias)); /* of half a block */
typedef uint64_t longs __attribute__((vector_size(BLOCK), aligned(1), may_alias));

typedef float floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t codes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define LOAD(from) (*(const bytes *)(from))
#define STORE(to, value) (*(bytes *)(to) = (value))
#define WIDE(from) __builtin_convertvector(*(const half_bytes *)(from), words)
#define NARROW(to, value) (*(half_bytes *)(to) = __builtin_convertvector((value), half_bytes))
#define WORDS(from) (*(const words *)(from))
#define PUT_WORDS(to, value) (*(words *)(to) = (value))
#define FLOATS(from) (*(const floats *)(from))
#define PUT(to, value) (*(floats *)(to) = (value))

#define WORD 64 /* cells, a bit each; the first of a row of the grid is the first of a word */

/* Words in which columns lie. */
INLINE int64_t words_between(int64_t left, int64_t right) { return (right - 1) / WORD - left / WORD + 1; }

/* What a block's shares are: all 0, all the most, or some of each. */
enum { NONE = 0, SOME = 1, ALL = 2 };

INLINE words each(u16 value) { return value - (words){0}; }

INLINE int any_bit(bytes value) {
#ifdef __AVX2__ /* Files are compiled twice, for any processor and for those that have it. */
    /* As the header that names it takes longer to read than most of these files to compile. */
    typedef long long quads __attribute__((vector_size(BLOCK)));
    return !__builtin_ia32_ptestz256((quads)value, (quads)value);
#else
    const longs four = (longs)value;
    return (four[0] | four[1] | four[2] | four[3]) != 0;
#endif
}

/* x / 255, rounded; exact up to 255 * 255. */
INLINE words by_255(words x) {
    x += 128;
    return (x + (x >> 8)) >> 8;
}

/* one * share / 255 + other * (255 - share) / 255. */
INLINE words mixed(words one, words share, words other) {
    words sum = by_255(one * share) + by_255(other * (255 - share));
    return sum - (sum >> 8); /* Both may be rounded upwards. */
}

/* A block of numbers in whole ones of 0 to 255, halves to the even one: where those lie from which on floats have no
 * fractions, their last bits are the number. */
INLINE void rounded(const float *restrict values, u8 *restrict out) {
    int32_t codes[BLOCK];
    for (int x = 0; x < BLOCK; x++) {
        const float above = values[x] + 8388608.0f;
        int32_t code;
        memcpy(&code, &above, sizeof(code));
        code = values[x] == values[x] ? code - 0x4B000000 : 0;
        code = code > 0 ? code : 0;
        codes[x] = code < 255 ? code : 255;
    }
    for (int x = 0; x < BLOCK; x++) out[x] = (u8)codes[x];
}

/* Of eight numbers those that are asked for. */
INLINE floats picked(floats from, codes which) {
#if defined(__clang__)
    floats found;
    for (int at = 0; at < LANES; at++) found[at] = from[which[at] & (LANES - 1)];
    return found;
#else
    return __builtin_shuffle(from, which);
#endif
}

/* The means of two samples of two rows each, rounded, of half a block. */
INLINE words quarters(const u8 *one, const u8 *other) {
    const words first = WORDS(one), second = WORDS(other);
    return ((first & 255) + (first >> 8) + (second & 255) + (second >> 8) + 2) >> 2;
}

/* The same of whole rows; columns: of what comes of it, which may be written over what it is taken from. */
INLINE void halved_row(const u8 *one, const u8 *other, u8 *out, ptrdiff_t columns) {
    ptrdiff_t x = 0;
    for (; x + HALF <= columns; x += HALF) NARROW(out + x, quarters(one + 2 * x, other + 2 * x));
    for (; x < columns; x++) out[x] = (u8)((one[2 * x] + one[2 * x + 1] + other[2 * x] + other[2 * x + 1] + 2) >> 2);
}

INLINE int any_word(words value) { return any_bit((bytes)value); }

/* Writes a value where a mask is 1 and what is there is less. */
void stream_lay(u8 *samples, ptrdiff_t samples_stride, const u8 *inside, ptrdiff_t stride, ptrdiff_t rows,
                ptrdiff_t columns, int value);

/* See specks.c. */
int64_t stream_pieces(int64_t count, const float *masks, int64_t rows, int64_t columns, float threshold, double part,
                      u8 *scratch, int64_t most, int32_t *found);

INLINE double least_of(double one, double other) { return one < other ? one : other; }
INLINE double most_of(double one, double other) { return one > other ? one : other; }

INLINE ptrdiff_t rows_of(const int64_t *window) { return (ptrdiff_t)(window[1] - window[0]); }
INLINE ptrdiff_t columns_of(const int64_t *window) { return (ptrdiff_t)(window[3] - window[2]); }

/* As they are on the rim they are around it, so many pixels. */
INLINE void rim_around(u8 *out, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t rim) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        u8 *row = out + y * stride;
        memset(row - rim, row[0], (size_t)rim);
        memset(row + columns, row[columns - 1], (size_t)rim);
    }
    const size_t wide = (size_t)(columns + 2 * rim);
    for (ptrdiff_t y = 1; y <= rim; y++) {
        memcpy(out - y * stride - rim, out - rim, wide);
        memcpy(out + (rows - 1 + y) * stride - rim, out + (rows - 1) * stride - rim, wide);
    }
}

#endif
