import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** One state machine. Being built. */
export function MachinePage() {
  return (
    <Page title={shell.nav.machines}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
