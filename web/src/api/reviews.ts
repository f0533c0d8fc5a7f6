import { queryOptions } from '@tanstack/react-query';
import { ApiError, rest } from './http.ts';

/** How many reviews wait for whoever is signed in; what the bell and the navigation show. */
export const waitingReviews = queryOptions({
  queryKey: ['reviews', 'count'],
  staleTime: 30_000,
  queryFn: async ({ signal }): Promise<number> => {
    try {
      const page = await rest<{ reviews?: unknown[] }>('/reviews', { query: { mine: 1, limit: 100 }, signal });
      return page.reviews?.length ?? 0;
    } catch (err) {
      if (err instanceof ApiError && err.status === 403) return 0;
      throw err;
    }
  },
});
