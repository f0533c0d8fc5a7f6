import { Page } from '../../app/Page.tsx';
import { EmptyState } from '../../kit/index.ts';
import { shell } from '../../strings/index.ts';

/** Settings. Being built. */
export function SettingsPage() {
  return (
    <Page title={shell.nav.settings}>
      <EmptyState title={shell.underWay} />
    </Page>
  );
}
