export { TestStatePage } from './TestStatePage.tsx';
