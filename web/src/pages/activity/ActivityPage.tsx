import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** What happened. Being built. */
export function ActivityPage() {
  return (
    <Page title={shell.nav.activity}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
