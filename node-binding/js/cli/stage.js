// @ts-check
import publish from './publish.js';

/** @type {import('./commands.js').Command} */
export default {
  ...publish,
  name: 'stage',
  summary: 'publish up to the switch, and leave the release compiled',
  flags: publish.flags.filter((flag) => flag !== 'stage'),
  example: 'remy stage schema.sql --db app.db',
  run: (context) => publish.run({ ...context, values: { ...context.values, stage: true } }),
};
