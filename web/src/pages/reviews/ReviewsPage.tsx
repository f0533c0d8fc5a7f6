import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** What waits for a decision. Being built. */
export function ReviewsPage() {
  return (
    <Page title={shell.nav.reviews}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
