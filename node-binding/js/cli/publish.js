// @ts-check
import { options, SCHEMA, SWITCH } from './flags.js';
import { outcome } from './outcome.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'publish',
  summary: 'make live what is declared: the app here, a schema, or a package of `remy build`',
  args: [{ name: 'SCHEMA|PACKAGE', optional: true }],
  flags: ['message', 'commit', 'stage', 'preview', 'create', 'artifacts', ...SCHEMA, ...SWITCH],
  example: 'remy publish schema.sql --db app.db -m "invoices" --allow drop',
  follows: true,
  async run({ open, args: [schema], values, signal, onProgress }) {
    const app = await open();
    return app[values.stage || values.preview ? 'stage' : 'publish']({ ...options(values), schema, create: values.create, signal, onProgress });
  },
  show: outcome,
};
