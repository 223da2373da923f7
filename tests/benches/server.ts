import { db, events } from '@mindstudio-ai/agent';
import { Rows } from './tables';

export const one = async ({ id }: { id: string }) => Rows.get(id);

export const add = async ({ n }: { n: number }) => Rows.push({ group: 'pushed', n });

/** Keeps SQLite busy for about as many seconds as `millions` says in tenths. */
export const slow = async ({ millions }: { millions: number }) =>
  await db.sql(
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) AS last FROM n',
    [millions * 1_000_000],
  );

export const listen = async () => events.grant('all');

export const tell = async () => events.publish('all', 'news');
