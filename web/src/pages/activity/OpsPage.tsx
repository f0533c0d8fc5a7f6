import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** What needs somebody who runs the server. Being built. */
export function OpsPage() {
  return (
    <Page title={shell.nav.ops}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
