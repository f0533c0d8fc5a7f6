import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** What it all cost. Being built. */
export function CostsPage() {
  return (
    <Page title={shell.nav.costs}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
