import { queryOptions } from '@tanstack/react-query';
import { aws, type Machine } from './aws.ts';

/** At most so many pages of a list are fetched to have all of it. */
const mostPages = 10;

/** All state machines, by name. */
export const machinesQuery = queryOptions({
  queryKey: ['machines', 'all'],
  queryFn: async ({ signal }): Promise<Machine[]> => {
    const all: Machine[] = [];
    let nextToken: string | undefined;
    for (let i = 0; i < mostPages; i++) {
      const page = await aws('ListStateMachines', nextToken ? { maxResults: 1000, nextToken } : { maxResults: 1000 }, signal);
      all.push(...page.stateMachines);
      nextToken = page.nextToken;
      if (!nextToken) break;
    }
    return all.sort((a, b) => a.name.localeCompare(b.name));
  },
});
