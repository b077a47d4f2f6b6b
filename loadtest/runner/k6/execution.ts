/** `k6/execution`: who and where this is. */
import { vuOf } from '../vu.ts';

const current = vuOf(import.meta.url);

export const scenario = {
  get name() {
    return current.scenario;
  },
  get iterationInTest() {
    return current.iteration;
  },
};

export const vu = {
  get idInTest() {
    return current.id;
  },
};

export default { scenario, vu };
