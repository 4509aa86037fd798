/* Slits between covers. */
#ifndef STREAM_SLITS_H
#define STREAM_SLITS_H
#include "common.h"

#define CLOSED 2 /* cells that covers grow by and shrink by again */

/* Covers also what is at most four cells wide between covered ones: of a slit between two covers somebody would be seen.
 *
 * A square of five cells is what they grow by and shrink by again; beyond its edges a plane counts for neither.
 * from, to: rows that may change; grown: becomes anything; line: memory for a row, and two bytes before and after it.
 */
INLINE void closed(u8 *covered, u8 *grown, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t from, ptrdiff_t to, u8 *restrict line) {
    for (int shrink = 0; shrink < 2; shrink++) {
        const u8 *const source = shrink ? grown : covered;
        const u8 turned = shrink ? 1 : 0; /* The least of some is what the most of their opposites is not. */
        const ptrdiff_t more = shrink ? 0 : CLOSED, end = to + more < rows ? to + more : rows;
        memset(line - CLOSED, 0, CLOSED);
        memset(line + columns, 0, CLOSED);
        for (ptrdiff_t y = from > more ? from - more : 0; y < end; y++) {
            const ptrdiff_t first = y > CLOSED ? y - CLOSED : 0, last = y + CLOSED < rows ? y + CLOSED : rows - 1;
            memset(line, 0, (size_t)columns);
            for (ptrdiff_t near = first; near <= last; near++) {
                const u8 *restrict row = source + near * columns;
                for (ptrdiff_t x = 0; x < columns; x++) line[x] |= (u8)(row[x] ^ turned);
            }
            u8 *restrict out = (shrink ? covered : grown) + y * columns;
            for (ptrdiff_t x = 0; x < columns; x++) {
                const u8 any = (u8)(line[x - 2] | line[x - 1] | line[x] | line[x + 1] | line[x + 2]);
                out[x] = shrink ? (u8)(out[x] | (any ^ 1)) : any;
            }
        }
    }
}

#endif
