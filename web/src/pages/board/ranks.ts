const digits = '0123456789abcdefghijklmnopqrstuvwxyz';

/**
 * A rank between two others, which sorts as a text: as short as it can be. ''
 * for before is the beginning; undefined for after is the end.
 */
export function rankBetween(before: string, after: string | undefined): string {
  if (after !== undefined && before >= after) return `${before}i`;
  let out = '';
  for (let i = 0; ; i++) {
    if (i > 62) return `${out}i`;
    const low = i < before.length ? digits.indexOf(before[i]!) : 0;
    const high = after === undefined ? digits.length : i < after.length ? digits.indexOf(after[i]!) : 0;
    if (low === high) {
      out += digits[low];
      continue;
    }
    const middle = Math.floor((low + high) / 2);
    if (middle > low) return out + digits[middle];
    // No digit between them: keep the lower one, and from here on only its rest counts.
    out += digits[low];
    after = undefined;
  }
}
