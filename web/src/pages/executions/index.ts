export { ExecutionsPage } from './ExecutionsPage.tsx';
export { ExecutionPage } from './ExecutionPage.tsx';
