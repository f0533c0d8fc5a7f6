export { ActivityPage } from './ActivityPage.tsx';
export { OpsPage } from './OpsPage.tsx';
