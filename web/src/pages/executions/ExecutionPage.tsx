import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** One execution. Being built. */
export function ExecutionPage() {
  return (
    <Page title={shell.nav.executions}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
