// @ts-check
import { options, SCHEMA } from './flags.js';
import { effects, plan } from './outcome.js';
import { oneLine } from './show.js';

/** @typedef {import('../index.js').Statement} Statement */

/** @type {import('./commands.js').Command} */
export default {
  name: 'diff',
  summary: 'show what a publish would do to live, what it needs, and what it loses',
  args: [{ name: 'SCHEMA', optional: true }],
  flags: ['sql', 'warnings', ...SCHEMA],
  notes: { sql: 'the statements themselves' },
  example: 'remy diff schema.sql --db app.db',
  async run({ open, args: [schema], values, signal }) {
    const app = await open();
    const rows = await app.diff({ ...options(values), schema, warnings: true, signal });
    for (const { message } of rows.filter(isWarning)) process.stderr.write(`warning: ${oneLine(message ?? '')}\n`);
    // They are no change: who looks at the rows for one finds none.
    return values.warnings ? rows : rows.filter((row) => !isWarning(row));
  },
  show(/** @type {Statement[]} */ all, { values }) {
    const rows = all.filter((row) => !isWarning(row));
    if (!rows.length) return ['Nothing to change: live is as declared'];
    const statements = rows.filter(({ strategy }) => strategy !== 'effect');
    if (values.sql) return statements.flatMap(({ sql }) => `${sql};`.split('\n'));
    const given = (values.allow ?? []).flat();
    const leaves = [...new Set(statements.flatMap(({ needs }) => (needs && !given.includes(needs) ? [needs] : [])))];
    return [
      ...(statements.length ? plan(statements) : []),
      ...(statements.length < rows.length ? effects(rows.filter(({ strategy }) => strategy === 'effect').map(effect)) : []),
      ...(leaves.length ? [`A publish needs --allow ${leaves.join(',')}, or a --rename where one is meant`] : []),
    ];
  },
};

/** @param {Statement} row */
function isWarning({ kind }) {
  return kind === 'warning';
}

/**
 * The row `create_role` of `buyer` as the change of an effect.
 * @param {Statement} row
 */
function effect({ kind, object: id }) {
  const [, change, what] = /** @type {RegExpExecArray} */ (/^([a-z]+)_(.+)$/.exec(kind));
  return { kind: what, id, change };
}
