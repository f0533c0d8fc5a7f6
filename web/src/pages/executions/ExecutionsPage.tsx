import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** All executions. Being built. */
export function ExecutionsPage() {
  return (
    <Page title={shell.nav.executions}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
