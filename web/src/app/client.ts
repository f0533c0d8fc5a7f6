import { QueryClient } from '@tanstack/react-query';
import { ApiError } from '../api/http.ts';

/** The cache of all that the server has said. The stream keeps it fresh; without a stream it is read again when the window gets the focus. */
export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What the server refuses, it refuses again; what it does not answer may be answered next time.
      retry: (count, err) => !(err instanceof ApiError && err.status >= 400 && err.status < 500) && count < 2,
      refetchOnWindowFocus: true,
    },
  },
});
