import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** One Map Run. Being built. */
export function MapRunPage() {
  return (
    <Page title={shell.nav.executions}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
