/** `k6/metrics`. */
import type { MetricType, Tags } from '../store.ts';
import { vuOf } from '../vu.ts';

const vu = vuOf(import.meta.url);

class Metric {
  readonly name: string;

  constructor(type: MetricType, name: string, isTime: boolean) {
    if (!vu.initializing) throw new Error('metrics must be declared in the init context');
    if (!/^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/.test(name)) throw new Error(`invalid metric name: '${name}'`);
    vu.store.define(name, type, isTime ? 'time' : 'default');
    this.name = name;
  }

  add(value: number | boolean, tags: Tags = {}): void {
    if (vu.initializing) throw new Error("metrics can't be added to in the init context");
    const number = Number(value);
    if (Number.isNaN(number)) throw new Error(`${String(value)} is an invalid value for metric ${this.name}`);
    vu.store.add(this.name, number, { scenario: vu.scenario, ...tags });
  }
}

export class Counter extends Metric {
  constructor(name: string, isTime = false) {
    super('counter', name, isTime);
  }
}
export class Gauge extends Metric {
  constructor(name: string, isTime = false) {
    super('gauge', name, isTime);
  }
}
export class Rate extends Metric {
  constructor(name: string, isTime = false) {
    super('rate', name, isTime);
  }
}
export class Trend extends Metric {
  constructor(name: string, isTime = false) {
    super('trend', name, isTime);
  }
}
