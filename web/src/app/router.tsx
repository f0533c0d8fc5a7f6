import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect, type RouteComponent } from '@tanstack/react-router';
import { basePath } from './base.ts';
import { Crashed, Missing } from './Missing.tsx';
import { Shell } from './Shell.tsx';

type Loaded = Record<string, RouteComponent>;

/** Search parameters that a page reads and writes by itself; values are texts. */
export type Search = Record<string, string | undefined>;

function readSearch(search: Record<string, unknown>): Search {
  return Object.fromEntries(Object.entries(search).map(([k, v]) => [k, v === undefined || v === null ? undefined : String(v)]));
}

const root = createRootRoute({ component: Outlet, notFoundComponent: Missing, errorComponent: Crashed, validateSearch: readSearch });
const inside = createRoute({ getParentRoute: () => root, id: 'inside', component: Shell });

/** A page within the shell; its code is fetched when somebody goes there. */
function page<const P extends string, M extends Loaded>(path: P, load: () => Promise<M>, name: keyof M & string) {
  return createRoute({ getParentRoute: () => inside, path, component: lazyRouteComponent(load as () => Promise<Loaded>, name) });
}

/** A page without the shell. */
function bare<const P extends string, M extends Loaded>(path: P, load: () => Promise<M>, name: keyof M & string) {
  return createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load as () => Promise<Loaded>, name) });
}

const machines = () => import('../pages/machines/index.ts');
const executions = () => import('../pages/executions/index.ts');
const teststate = () => import('../pages/teststate/index.ts');
const compare = () => import('../pages/compare/index.ts');
const home = () => import('../pages/home/index.ts');
const mapruns = () => import('../pages/mapruns/index.ts');
const board = () => import('../pages/board/index.ts');
const reviews = () => import('../pages/reviews/index.ts');
const agents = () => import('../pages/agents/index.ts');
const costs = () => import('../pages/costs/index.ts');
const activity = () => import('../pages/activity/index.ts');
const settings = () => import('../pages/settings/index.ts');
const entry = () => import('../pages/entry/index.ts');

const tree = root.addChildren([
  inside.addChildren([
    page('/', home, 'HomePage'),
    page('/machines', machines, 'MachinesPage'),
    page('/machines/new', machines, 'NewMachinePage'),
    page('/machines/$name', machines, 'MachinePage'),
    page('/machines/$name/edit', machines, 'EditorPage'),
    page('/machines/$name/test/$state', teststate, 'TestStatePage'),
    page('/executions', executions, 'ExecutionsPage'),
    page('/executions/compare', compare, 'ComparePage'),
    page('/executions/$id', executions, 'ExecutionPage'),
    page('/maprun/$id', mapruns, 'MapRunPage'),
    page('/board', board, 'BoardPage'),
    page('/board/$project', board, 'BoardPage'),
    // What notifications and kits link to.
    createRoute({
      getParentRoute: () => inside,
      path: '/tasks/$key',
      beforeLoad: ({ params }) => {
        throw redirect({ to: '/board/$project', params: { project: params.key.split('-')[0]! }, search: { task: params.key } as never });
      },
    }),
    page('/reviews', reviews, 'ReviewsPage'),
    page('/reviews/$id', reviews, 'ReviewsPage'),
    page('/agents', agents, 'AgentsPage'),
    page('/agents/connect', agents, 'ConnectPage'),
    page('/agents/$slug', agents, 'AgentPage'),
    page('/costs', costs, 'CostsPage'),
    page('/activity', activity, 'ActivityPage'),
    page('/ops', activity, 'OpsPage'),
    page('/settings', settings, 'SettingsPage'),
    page('/settings/$section', settings, 'SettingsPage'),
    createRoute({ getParentRoute: () => inside, path: '$', component: Missing }),
    page('/kit', () => import('../pages/showroom/index.ts'), 'KitPage'),
  ]),
  bare('/sign-in', entry, 'SignInPage'),
  bare('/welcome', entry, 'WelcomePage'),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: basePath,
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  // Texts as they are, so that an address can be read and written by hand.
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const kept = Object.entries(search).filter(([, v]) => v !== undefined && v !== null && v !== '') as [string, string][];
    const text = new URLSearchParams(kept).toString().replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%2F', '/');
    return text ? `?${text}` : '';
  },
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
