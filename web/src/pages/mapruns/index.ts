export { MapRunPage } from './MapRunPage.tsx';
