/* Float layers whose places see their own pixel of bytes alone, on x86 processors with AVX-512.
 *
 * ONNX Runtime parts channels, makes floats of bytes, lays these out for its own kernel, and its answers back, in eight
 * steps. Products are added channel by channel and the bias last, as that kernel does, so that answers are the same.
 */
#include "heads.h"

#if CONVOLVES && !defined(PLAIN) && __has_include(<avx512vnniintrin.h>)
#include <immintrin.h>

#define KIND __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define AT_ONCE 8 /* places */

/* Bytes as floats. */
KIND static void widened(const Head *head, const u8 *places, ptrdiff_t count, float *values) {
    const __m512 level = _mm512_set1_ps(head->level);
    const __m512i zero = _mm512_set1_epi32(head->zero);
    for (ptrdiff_t at = 0; at < count; at += 16) {
        const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(places + at)));
        _mm512_storeu_ps(values + at, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(wide, zero)), level));
    }
}

KIND static void some(const Head *head, const u8 *places, ptrdiff_t count, float *first, float *second) {
    const ptrdiff_t channels = head->channels;
    const __mmask16 ones = (__mmask16)((1u << head->first) - 1), others = (__mmask16)((1u << head->second) - 1);
    const __mmask16 behind = (__mmask16)(others << head->first);
    float values[AT_ONCE * HEAD_CHANNELS];
    widened(head, places, AT_ONCE * channels, values);
    __m512 sums[AT_ONCE];
    for (int place = 0; place < AT_ONCE; place++) sums[place] = _mm512_setzero_ps();
    for (ptrdiff_t channel = 0; channel < channels; channel++) {
        const __m512 filters = _mm512_loadu_ps(head->filters + channel * HEAD_ANSWERS);
        for (int place = 0; place < AT_ONCE; place++)
            sums[place] = _mm512_fmadd_ps(_mm512_set1_ps(values[place * channels + channel]), filters, sums[place]);
    }
    const __m512 bias = _mm512_loadu_ps(head->bias);
    for (ptrdiff_t place = 0; place < count; place++) {
        const __m512 answers = _mm512_add_ps(sums[place], bias);
        _mm512_mask_storeu_ps(first + place * head->first, ones, answers);
        _mm512_mask_storeu_ps(second + place * head->second, others, _mm512_maskz_compress_ps(behind, answers));
    }
}

void stream_head(const Head *head, const u8 *places, ptrdiff_t count, float *first, float *second) {
    const ptrdiff_t channels = head->channels;
    u8 rest[AT_ONCE * HEAD_CHANNELS] = {0};
    for (ptrdiff_t at = 0; at < count; at += AT_ONCE, places += AT_ONCE * channels) {
        const ptrdiff_t many = count - at < AT_ONCE ? count - at : AT_ONCE;
        const u8 *from = places;
        if (many < AT_ONCE || channels % 2) { /* Sixteen bytes are read at a time. */
            memcpy(rest, places, (size_t)(many * channels));
            from = rest;
        }
        some(head, from, many, first + at * head->first, second + at * head->second);
    }
}

#elif CONVOLVES

void stream_head(const Head *head, const u8 *places, ptrdiff_t count, float *first, float *second) {
    (void)head, (void)places, (void)count, (void)first, (void)second;
}

#endif
