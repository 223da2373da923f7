import { db } from '@mindstudio-ai/agent';
import { Rows } from './tables';

/** Microseconds that `work` takes, on average. */
async function each(times: number, work: (i: number) => PromiseLike<unknown>) {
  const began = process.hrtime.bigint();
  for (let i = 0; i < times; i++) await work(i);
  return Number(process.hrtime.bigint() - began) / 1e3 / times;
}

export const nothing = async (input: unknown) => input;

export const get = async ({ ids, times }: { ids: string[]; times: number }) =>
  each(times, (i) => Rows.get(ids[i % ids.length]));

export const filterBySql = async ({ group, times }: { group: string; times: number }) =>
  each(times, () => Rows.filter((row) => row.group === group));

export const filterInJavaScript = async ({ group, times }: { group: string; times: number }) =>
  each(times, () => Rows.filter((row) => String(row.group) === group));

export const push = async ({ times }: { times: number }) => each(times, (i) => Rows.push({ group: 'pushed', n: i }));

export const seed = async ({ count }: { count: number }) => {
  for (let i = 0; i < count; i += 10_000)
    await db.batch(...Array.from({ length: 10_000 }, (_, j) => Rows.push({ group: `g${(i + j) % 1000}`, n: i + j })));
  return (await Rows.take(1000)).map((row) => row.id);
};
