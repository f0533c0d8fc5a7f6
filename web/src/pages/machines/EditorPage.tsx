import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** The editor of a state machine. Being built. */
export function EditorPage() {
  return (
    <Page title={shell.nav.machines}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
