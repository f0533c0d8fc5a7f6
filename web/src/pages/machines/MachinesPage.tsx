import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** All state machines. Being built. */
export function MachinesPage() {
  return (
    <Page title={shell.nav.machines}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
