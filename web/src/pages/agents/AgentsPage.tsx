import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** All agents. Being built. */
export function AgentsPage() {
  return (
    <Page title={shell.nav.agents}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
