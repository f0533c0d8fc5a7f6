import { queryOptions } from '@tanstack/react-query';
import type { Nano } from '../kit/format.ts';
import type { Budget, UsageRow } from './agents.ts';
import { apiPath, rest } from './http.ts';

export interface Rates {
  input: Nano | null;
  cache_read: Nano | null;
  cache_write_5m: Nano | null;
  cache_write_1h: Nano | null;
  output: Nano | null;
}

export interface Price {
  from: string;
  rates: Rates;
  tiers?: { above: number; rates: Rates }[];
}

export interface Model {
  provider: string;
  id: string;
  match?: unknown;
  prices: Price[] | null;
  source: string;
}

/** What overrides of this workspace have as their source. */
export const ownPrices = 'this workspace';

export const pricesQuery = queryOptions({ queryKey: ['prices'], staleTime: 60_000, queryFn: async ({ signal }) => (await rest<{ models: Model[] }>('/prices', { signal, exact: true })).models });

export interface WorkCost {
  project: string;
  tasks: number;
  deliverables: number;
  cost: UsageRow;
  rework_share: number;
  failed_share: number;
  billed_per_deliverable: Nano;
  shadow_per_deliverable: Nano;
  partial: boolean;
}

export const workCost = (project: string, since: string, until: string) =>
  queryOptions({ queryKey: ['costs', 'work', project, since, until], queryFn: ({ signal }) => rest<WorkCost>('/usage/deliverables', { query: { project, since, until }, signal, exact: true }) });

/** Where a summary is to be had as a table for a spreadsheet. */
export const csvPath = (asked: { group_by: string; since: string; until: string; project?: string | undefined }) => apiPath('/usage/summary', { ...asked, limit: 1000, format: 'csv' });

export interface BudgetIn {
  scope: Budget['scope'];
  name?: string;
  window: Budget['window'];
  metric: Budget['metric'];
  soft?: bigint;
  hard?: bigint;
  on_hard?: Budget['on_hard'];
}

export const costActs = {
  setBudget: (id: string, body: BudgetIn) => rest<Budget>(`/budgets/${encodeURIComponent(id)}`, { method: 'PUT', body }),
  removeBudget: (id: string) => rest<void>(`/budgets/${encodeURIComponent(id)}`, { method: 'DELETE' }),
  /** Puts the workspace's own prices in the place of those it had. */
  override: (models: Pick<Model, 'provider' | 'id' | 'match' | 'prices'>[]) => rest<{ models: number }>('/prices/overrides', { method: 'PUT', body: { models: models.map(({ provider, id, match, prices }) => ({ provider, id, ...(match ? { match } : {}), prices: (prices ?? []).map(plain) })) } }),
};

// Amounts that came as texts go back as numbers; what is not priced is left out.
function plain(p: Price): unknown {
  const rates = (r: Rates) => Object.fromEntries(Object.entries(r).filter(([, v]) => v !== null).map(([k, v]) => [k, BigInt(v as Nano)]));
  return { ...(p.from && !p.from.startsWith('0001') ? { from: p.from } : {}), rates: rates(p.rates), ...(p.tiers ? { tiers: p.tiers.map((t) => ({ above: t.above, rates: rates(t.rates) })) } : {}) };
}
