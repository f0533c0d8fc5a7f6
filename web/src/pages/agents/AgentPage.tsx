import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** One agent. Being built. */
export function AgentPage() {
  return (
    <Page title={shell.nav.agents}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
