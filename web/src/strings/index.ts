// Every text of the console. Each section has a file of its own; a page reads
// only its own and common.
export { common } from './common.ts';
export { shell } from './shell.ts';
export { kit } from './kit.ts';
export { board } from './board.ts';
export { reviews } from './reviews.ts';
