/** One condition of a filter: status:failed. A bare word has the name "". */
export interface Term {
  name: string;
  value: string;
}

/** Reads "status:failed machine:x started:>2h input.customer:42 words". Values with spaces stand in quotes. */
export function parseFilter(text: string): Term[] {
  const terms: Term[] = [];
  const pattern = /(?:([A-Za-z][\w.[\]-]*):)?(?:"((?:[^"\\]|\\.)*)"|(\S+))/g;
  for (const m of text.matchAll(pattern)) {
    const value = m[2] !== undefined ? m[2].replace(/\\(.)/g, '$1') : (m[3] ?? '');
    terms.push({ name: m[1] ?? '', value });
  }
  return terms;
}

/** Writes terms so that parseFilter reads the same. */
export function formatFilter(terms: readonly Term[]): string {
  return terms.map(formatTerm).join(' ');
}

export function formatTerm({ name, value }: Term): string {
  // Quotes keep together what would be taken apart, and what would be taken for a name.
  const plain = value !== '' && !/[\s"\\]/.test(value) && (name !== '' || !/^[A-Za-z][\w.[\]-]*:/.test(value));
  const text = plain ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
  return name ? `${name}:${text}` : text;
}
