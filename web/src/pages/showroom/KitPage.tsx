import { Page } from '../../app/Page.tsx';
import { StatusBadge } from '../../kit/index.ts';

/** The parts, as a page to look at. */
export function KitPage() {
  return (
    <Page title="Kit">
      <StatusBadge status="RUNNING" />
    </Page>
  );
}
