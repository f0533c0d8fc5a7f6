/** A cause is often JSON in one line; then its message is what people read. */
export function readable(cause: string): string {
  try {
    const value: unknown = JSON.parse(cause);
    if (typeof value === 'object' && value !== null) {
      const message = (value as Record<string, unknown>).errorMessage;
      const trace = (value as Record<string, unknown>).trace;
      if (typeof message === 'string') return Array.isArray(trace) && trace.length > 0 ? `${message}\n${trace.join('\n')}` : message;
      return JSON.stringify(value, null, 2);
    }
  } catch {
    // A sentence.
  }
  return cause;
}
