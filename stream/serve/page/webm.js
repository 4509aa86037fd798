// Browsers write WebM as it comes, without saying how long it is: players show no end then, and do not jump.

const SEGMENT = 0x18538067;
const SEEK_HEAD = 0x114d9b74;
const INFO = 0x1549a966;
const TICK = 0x2ad7b1; // nanoseconds in which times are counted
const DURATION = 0x4489;
const HEAD = 4096; // bytes; what says of a recording as a whole is in the first few hundred

/** A recording that says how long it is; as it was where it does already, or is no WebM as browsers write it. */
export async function withDuration(blob, seconds) {
  const bytes = new Uint8Array(await blob.slice(0, HEAD).arrayBuffer());
  const info = informationOf(bytes);
  if (!info) return blob;
  let tick = 1e6;
  for (const one of elements(bytes, info.data, info.end)) {
    if (one.id === DURATION) return blob;
    if (one.id === TICK) tick = bytes.subarray(one.data, one.end).reduce((sum, byte) => 256 * sum + byte, 0);
  }
  const added = new DataView(new ArrayBuffer(11));
  added.setUint16(0, DURATION);
  added.setUint8(2, 0x88); // eight bytes
  added.setFloat64(3, (1e9 * seconds) / tick);
  const head = new DataView(new ArrayBuffer(12));
  head.setUint32(0, INFO);
  head.setUint32(4, 0x01000000); // the size behind it has seven bytes
  head.setUint32(8, info.end - info.data + added.byteLength);
  const parts = [blob.slice(0, info.at), head, blob.slice(info.data, info.end), added, blob.slice(info.end)];
  return new Blob(parts, { type: blob.type });
}

/** Where it is said what the whole is; null where more would have to be changed than that. */
function informationOf(bytes) {
  const segment = elements(bytes, 0, bytes.length).find((one) => one.id === SEGMENT);
  if (!segment || segment.end !== Infinity) return null;
  for (const one of elements(bytes, segment.data, bytes.length)) {
    if (one.id === SEEK_HEAD) return null; // it says how far off everything is
    if (one.id === INFO) return one.end <= bytes.length ? one : null;
  }
  return null;
}

/** The elements that begin within some bytes, up to one whose end is not known. */
function elements(bytes, at, end) {
  const found = [];
  while (at + 2 <= end) {
    const name = Math.clz32(bytes[at]) - 23;
    const long = Math.clz32(bytes[at + name]) - 23;
    const data = at + name + long;
    if (name > 4 || long > 8 || data > end) break;
    let id = 0;
    for (let place = at; place < at + name; place += 1) id = 256 * id + bytes[place];
    let size = bytes[at + name] & ((1 << (8 - long)) - 1);
    let whole = size === (1 << (8 - long)) - 1; // all ones: it ends with the file
    for (let place = at + name + 1; place < data; place += 1) {
      size = 256 * size + bytes[place];
      whole &&= bytes[place] === 255;
    }
    found.push({ id, at, data, end: whole ? Infinity : data + size });
    if (whole) break;
    at = data + size;
  }
  return found;
}
