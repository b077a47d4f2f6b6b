/** Before the tests: what instances send to browsers. */
export { buildPages as default } from '../app/tools/build-pages.ts';
