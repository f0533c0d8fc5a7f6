type Search = Record<string, string | undefined>;

/** Changes some parameters of the address and leaves the others. */
export function changed(change: Search): (old: Search) => Search {
  return (old) => ({ ...old, ...change });
}
