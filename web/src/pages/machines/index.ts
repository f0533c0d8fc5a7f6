export { MachinesPage } from './MachinesPage.tsx';
export { MachinePage } from './MachinePage.tsx';
export { EditorPage, NewMachinePage } from './EditorPage.tsx';
