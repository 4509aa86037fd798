/* Layers of an int8 network on x86 processors with AVX-512 and its sums of four products of bytes (from 2019 on).
 *
 * ONNX Runtime's own kernels reach 95% of what these processors can multiply where a filter reads many numbers; where
 * it reads few, or only its own channel, they take two to three times as long as they need; see docs/performance.md.
 */
#include "reading.h"

#if CONVOLVES && !defined(PLAIN) && __has_include(<avx512vnniintrin.h>)
#include <immintrin.h>

#define KIND __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define INNER static inline __attribute__((always_inline)) KIND
#define VECTOR 16 /* answers whose sums lie in one register */

typedef __m512i ints;
typedef __m256i half_ints;

/* ---- every channel by every filter ---- */

/* Some answers of a row of places. */
typedef struct {
    const u8 *from;
    ptrdiff_t step, pieces, answers;
    const ptrdiff_t *offsets;
    const int8_t *filters;
    const int32_t *begin;
    const float *factors;
    ints zero;
    u8 *out;
} Block;

INNER ints levels(ints sums, const float *factors) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(factors)));
}

/* Four registers of levels to bytes, sixteen of each. */
INNER ints bytes_of(ints a, ints b, ints c, ints d, ints zero) {
    const ints order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const ints first = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
    const ints second = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
}

INNER void store_128(u8 *to, __m128i value) { _mm_storeu_si128((__m128i *)to, value); }
INNER void store_256(u8 *to, half_ints value) { _mm256_storeu_si256((half_ints *)to, value); }

/* Eight answers of four places. */
INNER void store_halves(half_ints a, half_ints b, half_ints c, half_ints d, const float *factors, half_ints zero,
                        u8 *to, ptrdiff_t answers) {
    const __m256 each = _mm256_loadu_ps(factors);
#define LEVELS(sums) _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), each))
    const half_ints first = _mm256_adds_epi16(_mm256_packs_epi32(LEVELS(a), LEVELS(b)), zero);
    const half_ints second = _mm256_adds_epi16(_mm256_packs_epi32(LEVELS(c), LEVELS(d)), zero);
#undef LEVELS
    const half_ints bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second),
                                                        _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    _mm_storel_epi64((__m128i *)to, low);
    _mm_storeh_pd((double *)(to + answers), _mm_castsi128_pd(low));
    _mm_storel_epi64((__m128i *)(to + 2 * answers), high);
    _mm_storeh_pd((double *)(to + 3 * answers), _mm_castsi128_pd(high));
}

/* What follows is written by macros, as compilers leave sums in memory that are an array. A tile is some places by
 * some answers: 16 times `wide`, and eight more of a `half`. Their sums are `s<place>_<register>` and `h<place>`. */
#define FOR_0(use, place)
#define FOR_1(use, place) use(place, 0)
#define FOR_2(use, place) FOR_1(use, place) use(place, 1)
#define FOR_3(use, place) FOR_2(use, place) use(place, 2)
#define FOR_4(use, place) FOR_3(use, place) use(place, 3)
#define IF_0(...)
#define IF_1(...) __VA_ARGS__
#define OF_4(use, ...) use(0, __VA_ARGS__) use(1, __VA_ARGS__) use(2, __VA_ARGS__) use(3, __VA_ARGS__)
#define OF_5(use, ...) OF_4(use, __VA_ARGS__) use(4, __VA_ARGS__)
#define OF_6(use, ...) OF_5(use, __VA_ARGS__) use(5, __VA_ARGS__)
#define OF_7(use, ...) OF_6(use, __VA_ARGS__) use(6, __VA_ARGS__)
#define OF_8(use, ...) OF_7(use, __VA_ARGS__) use(7, __VA_ARGS__)
#define OF_10(use, ...) OF_8(use, __VA_ARGS__) use(8, __VA_ARGS__) use(9, __VA_ARGS__)
#define OF_12(use, ...) OF_10(use, __VA_ARGS__) use(10, __VA_ARGS__) use(11, __VA_ARGS__)
#define OF_16(use, ...)                                                                                              \
    OF_12(use, __VA_ARGS__) use(12, __VA_ARGS__) use(13, __VA_ARGS__) use(14, __VA_ARGS__) use(15, __VA_ARGS__)
#define TWO_OF_8(use) use(0, 1) use(2, 3) use(4, 5) use(6, 7)
#define TWO_OF_10(use) TWO_OF_8(use) use(8, 9)
#define TWO_OF_12(use) TWO_OF_10(use) use(10, 11)
#define FOUR_OF_8(use, at) use(0, 1, 2, 3, at) use(4, 5, 6, 7, at)
#define FOUR_OF_12(use, at) FOUR_OF_8(use, at) use(8, 9, 10, 11, at)
#define FOUR_OF_16(use, at) FOUR_OF_12(use, at) use(12, 13, 14, 15, at)

/* Compilers would copy sums to and fro. */
#define DOT(sum, values, filters) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(values), "v"(filters))

#define SUM(place, at) ints s##place##_##at = _mm512_loadu_si512(told->begin + at * VECTOR);
#define FILTER(place, at) const ints f##at = _mm512_loadu_si512(next + 64 * at);
#define ADD(place, at) DOT(s##place##_##at, values, f##at);
#define LEVELS(place, at) levels(s##place##_##at, factors + at * VECTOR)
#define BEGIN(place, wide, half)                                                                                     \
    FOR_##wide(SUM, place)                                                                                           \
    IF_##half(half_ints h##place = _mm256_loadu_si256((const half_ints *)(told->begin + wide * VECTOR));)
#define MULTIPLY(place, wide, half)                                                                                  \
    {                                                                                                                \
        const ints values = _mm512_set1_epi32(four_at(here + place * step));                                        \
        FOR_##wide(ADD, place)                                                                                       \
        IF_##half(DOT(h##place, _mm512_castsi512_si256(values), more);)                    \
    }
#define STORE_4(place, _) \
    _mm512_storeu_si512(to + place * answers, \
                        bytes_of(LEVELS(place, 0), LEVELS(place, 1), LEVELS(place, 2), LEVELS(place, 3), zero));
#define STORE_3(place, _)                                                                                            \
    {                                                                                                                \
        const ints last = LEVELS(place, 2), bytes = bytes_of(LEVELS(place, 0), LEVELS(place, 1), last, last, zero);  \
        store_256(to + place * answers, _mm512_castsi512_si256(bytes));                                              \
        store_128(to + place * answers + 32, _mm512_extracti32x4_epi32(bytes, 2));                                   \
    }
#define STORE_2(one, two)                                                                                            \
    {                                                                                                                \
        const ints bytes = bytes_of(LEVELS(one, 0), LEVELS(one, 1), LEVELS(two, 0), LEVELS(two, 1), zero);           \
        store_256(to + one * answers, _mm512_castsi512_si256(bytes));                                                \
        store_256(to + two * answers, _mm512_extracti64x4_epi64(bytes, 1));                                          \
    }
#define STORE_1(one, two, three, four, _)                                                                            \
    {                                                                                                                \
        const ints bytes = bytes_of(LEVELS(one, 0), LEVELS(two, 0), LEVELS(three, 0), LEVELS(four, 0), zero);        \
        store_128(to + one * answers, _mm512_castsi512_si128(bytes));                                                \
        store_128(to + two * answers, _mm512_extracti32x4_epi32(bytes, 1));                                          \
        store_128(to + three * answers, _mm512_extracti32x4_epi32(bytes, 2));                                        \
        store_128(to + four * answers, _mm512_extracti32x4_epi32(bytes, 3));                                         \
    }
#define STORE_HALF(one, two, three, four, at)                                                                        \
    store_halves(h##one, h##two, h##three, h##four, factors + at, _mm512_castsi512_si256(zero),                      \
                 to + one * answers + at, answers);
#define FINISH_4(places) OF_##places(STORE_4, _)
#define FINISH_3(places) OF_##places(STORE_3, _)
#define FINISH_2(places) TWO_OF_##places(STORE_2)
#define FINISH_1(places) FOUR_OF_##places(STORE_1, _)
#define FINISH_0(places)

/* A row in tiles of one size, of which the last begins further left where it would not fit. */
#define TILES(places, wide, half)                                                                                    \
    KIND static void tiles_##places##_##wide##_##half(const Block *told, ptrdiff_t row) {                             \
        const ptrdiff_t step = told->step, answers = told->answers;                                                  \
        const float *factors = told->factors;                                                                        \
        const ints zero = told->zero;                                                                                \
        for (ptrdiff_t x = 0; x < row; x += places) {                                                                \
            if (x + places > row) x = row - places;                                                                  \
            const u8 *there = told->from + x * step;                                                                 \
            const int8_t *next = told->filters;                                                                      \
            OF_##places(BEGIN, wide, half)                                                                           \
            for (ptrdiff_t piece = 0; piece < told->pieces; piece++, next += 64 * wide + 32 * half) {                \
                const u8 *here = there + told->offsets[piece];                                                       \
                FOR_##wide(FILTER, 0)                                                                                \
                IF_##half(const half_ints more = _mm256_loadu_si256((const half_ints *)(next + 64 * wide));)          \
                OF_##places(MULTIPLY, wide, half)                                                                    \
            }                                                                                                        \
            u8 *to = told->out + x * answers;                                                                        \
            FINISH_##wide(places)                                                                                    \
            IF_##half(FOUR_OF_##places(STORE_HALF, wide * VECTOR))                                                   \
        }                                                                                                            \
    }
#define EVERY(use)                                                                                                   \
    use(4, 4, 0) use(5, 4, 0) use(6, 4, 0)                                                                           \
    use(5, 3, 0) use(6, 3, 0) use(7, 3, 0) use(8, 3, 0)                                                              \
    use(8, 2, 0) use(10, 2, 0) use(12, 2, 0)                                                                         \
    use(8, 1, 1) use(12, 1, 1)                                                                                       \
    use(8, 1, 0) use(12, 1, 0) use(16, 1, 0)                                                                         \
    use(8, 0, 1) use(12, 0, 1) use(16, 0, 1)
EVERY(TILES)

typedef struct {
    int places, answers;
    void (*compute)(const Block *, ptrdiff_t);
} Tiles;
#define KNOWN(places, wide, half) {places, 16 * wide + 8 * half, tiles_##places##_##wide##_##half},
static const Tiles TILES_OF[] = {EVERY(KNOWN)};

/* The tiles for some answers of a row. */
static const Tiles *tiles_for(int answers, ptrdiff_t row) {
    const Tiles *end = TILES_OF + sizeof(TILES_OF) / sizeof(*TILES_OF), *best = NULL;
    ptrdiff_t least = 0;
    for (const Tiles *one = TILES_OF; one < end; one++) {
        if (one->answers != answers || one->places > row) continue;
        const ptrdiff_t computed = (row + one->places - 1) / one->places * (one->places + 1);
        if (best == NULL || computed <= least) best = one, least = computed;
    }
    return best;
}

KIND static void row_of(const Layer *layer, const Numbers *with, const u8 *from, ptrdiff_t step, ptrdiff_t places,
                        u8 *out) {
    const int32_t *block = with->blocks;
    Block told = {from, step, 0, layer->answers, with->offsets, with->filters, with->sums, with->factors,
                  _mm512_set1_epi16((int16_t)layer->out_zero), out};
    for (ptrdiff_t at = 0; at < layer->answers; block += BLOCK_NUMBERS) {
        const ptrdiff_t together = block[TOGETHER_AT];
        told.pieces = block[PIECES_AT];
        tiles_for((int)together, places)->compute(&told, places);
        told.offsets += told.pieces;
        told.filters += together * told.pieces * TAP;
        told.begin += together, told.factors += together, told.out += together;
        at += together;
    }
}

KIND static void deep(const Layer *layer, const Numbers *with, const u8 *picture, u8 *out, ptrdiff_t first,
                      ptrdiff_t last, u8 *room) {
    deep_rows(layer, with, row_of, picture, out, first, last, room);
}

/* ---- every channel by its own filter ---- */

/* What is read of a channel is in registers `<name>0` to `<name>3`: the first, second, third and last quarter of each
 * sixteen channels, three bytes of each and nothing. */
#define ALL_FOUR(use, ...) use(0, __VA_ARGS__) use(1, __VA_ARGS__) use(2, __VA_ARGS__) use(3, __VA_ARGS__)
#define HELD(at, type, name) type name##at;
#define MOVED(at, to, from) to##at = from##at;
#define BEGUN(at, name, bits) name##at = load_##bits(begin + at * (bits / 32));
#define FROM_ONE(at, sums, values, column, bits) DOT(sums##at, values##at, load_##bits(filters + (4 * column + at) * (bits / 8)));
#define FROM_TWO(at, sums, values, others, more, column, bits)                                                       \
    {                                                                                                                \
        const bits_##bits filter = load_##bits(filters + (4 * column + at) * (bits / 8));                            \
        DOT(sums##at, values##at, filter);                                                                           \
        DOT(others##at, more##at, filter);                                                                           \
    }
#define COLUMN(name, at, bits) column_##bits(rows, at, &name##0, &name##1, &name##2, &name##3)
#define FINISH(name, to, bits) finish_##bits(name##0, name##1, name##2, name##3, factors, zero, to)

/* In registers of so many bits. */
#define OF_OWN(bits, v, si)                                                                                          \
    typedef __m##bits##i bits_##bits;                                                                                \
    INNER bits_##bits load_##bits(const void *from) { return v(loadu_##si)(from); }                                  \
    /* A column of three rows. */                                                                                    \
    INNER void column_##bits(const Rows *rows, ptrdiff_t x, bits_##bits *a, bits_##bits *b, bits_##bits *c,          \
                             bits_##bits *d) {                                                                       \
        const bits_##bits nothing = v(setzero_##si)();                                                               \
        const bits_##bits one = load_##bits(pixel_of(rows, 0, x)), two = load_##bits(pixel_of(rows, 1, x));          \
        const bits_##bits three = load_##bits(pixel_of(rows, 2, x));                                                 \
        const bits_##bits low = v(unpacklo_epi8)(one, two), high = v(unpackhi_epi8)(one, two);                       \
        const bits_##bits third = v(unpacklo_epi8)(three, nothing), last = v(unpackhi_epi8)(three, nothing);         \
        *a = v(unpacklo_epi16)(low, third), *b = v(unpackhi_epi16)(low, third);                                      \
        *c = v(unpacklo_epi16)(high, last), *d = v(unpackhi_epi16)(high, last);                                      \
    }                                                                                                                \
    INNER bits_##bits levels_##bits(bits_##bits sums, const float *factors) {                                        \
        return v(cvtps_epi32)(v(mul_ps)(v(cvtepi32_ps)(sums), v(loadu_ps)(factors)));                                \
    }                                                                                                                \
    INNER void finish_##bits(bits_##bits a, bits_##bits b, bits_##bits c, bits_##bits d, const float *factors,       \
                             bits_##bits zero, u8 *to) {                                                             \
        const ptrdiff_t apart = bits / 32;                                                                           \
        const bits_##bits first = v(packs_epi32)(levels_##bits(a, factors), levels_##bits(b, factors + apart));      \
        const bits_##bits second =                                                                                   \
            v(packs_epi32)(levels_##bits(c, factors + 2 * apart), levels_##bits(d, factors + 3 * apart));            \
        v(storeu_##si)((void *)to, v(packus_epi16)(v(adds_epi16)(first, zero), v(adds_epi16)(second, zero)));        \
    }                                                                                                                \
    /* Places of a row, as many channels as there are bytes. */                                                      \
    INNER void own_##bits(const Rows *rows, ptrdiff_t at, ptrdiff_t channels, ptrdiff_t places, int step,            \
                          const int8_t *filters, const int32_t *begin, const float *factors, int above, u8 *out) {   \
        const bits_##bits zero = v(set1_epi16)((int16_t)above);                                                      \
        ALL_FOUR(HELD, bits_##bits, a)                                                                               \
        ALL_FOUR(HELD, bits_##bits, b)                                                                               \
        ALL_FOUR(HELD, bits_##bits, c)                                                                               \
        ALL_FOUR(HELD, bits_##bits, sum)                                                                             \
        COLUMN(a, at, bits);                                                                                         \
        if (step == 1) COLUMN(b, at + 1, bits);                                                                      \
        for (; step == 1 && places > 1; places -= 2, at += 2, out += 2 * channels) {                                 \
            ALL_FOUR(HELD, bits_##bits, d)                                                                           \
            ALL_FOUR(HELD, bits_##bits, next)                                                                        \
            ALL_FOUR(BEGUN, sum, bits)                                                                               \
            ALL_FOUR(BEGUN, next, bits)                                                                              \
            COLUMN(c, at + 2, bits);                                                                                 \
            ALL_FOUR(FROM_TWO, sum, a, next, b, 0, bits)                                                             \
            ALL_FOUR(FROM_TWO, sum, b, next, c, 1, bits)                                                             \
            COLUMN(d, at + 3, bits);                                                                                 \
            ALL_FOUR(FROM_TWO, sum, c, next, d, 2, bits)                                                             \
            FINISH(sum, out, bits);                                                                                  \
            FINISH(next, out + channels, bits);                                                                      \
            ALL_FOUR(MOVED, a, c)                                                                                    \
            ALL_FOUR(MOVED, b, d)                                                                                    \
        }                                                                                                            \
        for (; places > 0; places--, at += 2, out += channels) {                                                     \
            if (step == 2) COLUMN(b, at + 1, bits);                                                                  \
            COLUMN(c, at + 2, bits);                                                                                 \
            ALL_FOUR(BEGUN, sum, bits)                                                                               \
            ALL_FOUR(FROM_ONE, sum, a, 0, bits)                                                                      \
            ALL_FOUR(FROM_ONE, sum, b, 1, bits)                                                                      \
            ALL_FOUR(FROM_ONE, sum, c, 2, bits)                                                                      \
            FINISH(sum, out, bits);                                                                                  \
            ALL_FOUR(MOVED, a, c)                                                                                    \
        }                                                                                                            \
    }

#define V512(name) _mm512_##name
#define V256(name) _mm256_##name
#define V128(name) _mm_##name
OF_OWN(512, V512, si512)
OF_OWN(256, V256, si256)
OF_OWN(128, V128, si128)

KIND static void strip_of(const Layer *layer, const Numbers *with, const Rows *whole, ptrdiff_t left, ptrdiff_t places,
                          u8 *out) {
    const ptrdiff_t channels = layer->channels;
    const int step = (int)layer->across, zero = layer->out_zero;
    ptrdiff_t c = 0;
#define OWN(bits, step)                                                                                              \
    own_##bits(&rows, left, channels, places, step, with->filters + 12 * c, with->sums + c, with->factors + c, zero,  \
               out + c)
#define OF_CHANNELS(bits)                                                                                            \
    for (; c + bits / 8 <= channels; c += bits / 8) {                                                                \
        const Rows rows = rows_of_channel(whole, c);                                                                 \
        if (step == 1) OWN(bits, 1);                                                                                 \
        else OWN(bits, 2);                                                                                           \
    }
    OF_CHANNELS(512)
    OF_CHANNELS(256)
    OF_CHANNELS(128)
}

KIND static void shallow(const Layer *layer, const Numbers *with, const u8 *picture, u8 *out, ptrdiff_t first,
                         ptrdiff_t last, u8 *room) {
    shallow_rows(layer, with, strip_of, picture, out, first, last, room);
}

int stream_has_vnni(void) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

void stream_vnni_layer(const Layer *layer, const Numbers *with, int every, const u8 *picture, u8 *out,
                       ptrdiff_t first, ptrdiff_t last, u8 *room) {
    if (every) deep(layer, with, picture, out, first, last, room);
    else shallow(layer, with, picture, out, first, last, room);
}

#elif CONVOLVES

int stream_has_vnni(void) { return 0; }

void stream_vnni_layer(const Layer *layer, const Numbers *with, int every, const u8 *picture, u8 *out,
                       ptrdiff_t first, ptrdiff_t last, u8 *room) {
    (void)layer, (void)with, (void)every, (void)picture, (void)out, (void)first, (void)last, (void)room;
}

#endif
