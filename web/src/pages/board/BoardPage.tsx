import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** The board of a project. Being built. */
export function BoardPage() {
  return (
    <Page title={shell.nav.board}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
