// @ts-check
// Methods that run by the clock.
import { all, both, distinct, filled, given, list, shape, text } from '../check.js';
import { method } from '../references.js';

/** @typedef {import('../interfaces.js').Interface} Interface */

/** A field of a schedule: its name, its least and greatest value, and the names of values from the least on. */
const FIELDS = [
  { name: 'minute', least: 0, greatest: 59, names: [] },
  { name: 'hour', least: 0, greatest: 23, names: [] },
  { name: 'day of the month', least: 1, greatest: 31, names: [] },
  { name: 'month', least: 1, greatest: 12, names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { name: 'day of the week', least: 0, greatest: 7, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];

const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const schedule = both(filled, (at) => {
  const wrong = checkSchedule(at.value);
  return wrong === null || at.fault(`"${at.value}": ${wrong}`);
});

export const fields = {
  jobs: all(
    list(shape({ schedule, method, 'description?': text })),
    distinct('', 'method and schedule', {
      key: (job) => (typeof job?.schedule === 'string' ? `${job.method} at ${plain(job.schedule)}` : undefined),
    }),
  ),
};

/** @param {Interface} it */
export function compile(it) {
  return { 'interfaces/cron.json': { jobs: jobs(it) } };
}

/** @param {Interface} it */
export function effects(it) {
  return { cron_jobs: jobs(it) };
}

/** @param {Interface} it */
function jobs({ config }) {
  return config.jobs.map((/** @type {any} */ { method, schedule, description }) => given({ method, schedule: plain(schedule), description }));
}

/** @param {string} schedule */
const plain = (schedule) => schedule.trim().split(/\s+/).join(' ');

/**
 * What is wrong with a cron expression, in words that name the field, or null. The rules are those of core's effects: minute, hour,
 * day of the month, month and day of the week (0 or 7 is Sunday), each `*`, `a`, `a-b`, or a list of those, with steps.
 *
 * @param {string} schedule
 * @returns {string | null}
 */
export function checkSchedule(schedule) {
  const parts = plain(schedule).split(' ');
  if (parts.length !== FIELDS.length) return `a schedule has five fields (minute hour day month weekday), this one has ${parts.length}`;
  try {
    const [, , days, months] = FIELDS.map((field, i) => valuesOf(field, parts[i]));
    const comes = [...months].some((month) => Math.min(...days) <= LONGEST[month - 1]);
    return parts[4] === '*' && !comes ? `day ${parts[2]} does not come in month ${parts[3]}` : null;
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return error.message;
  }
}

class Wrong extends Error {}

/**
 * The values that a field stands for.
 *
 * @param {typeof FIELDS[number]} field
 * @param {string} part
 */
function valuesOf(field, part) {
  return new Set(part.split(',').flatMap((item) => itemOf(field, item)));
}

/**
 * @param {typeof FIELDS[number]} field
 * @param {string} item
 */
function itemOf(field, item) {
  const { name, least, greatest } = field;
  const [range, ...steps] = item.split('/');
  const [first, ...rest] = range.split('-');
  // Only one dash and one slash mean something; with more, what is behind the first is no number.
  const last = rest.length ? rest.join('-') : undefined;
  const step = steps.length ? steps.join('/') : undefined;
  const from = range === '*' ? least : valueOf(field, first);
  let to = range === '*' || (last === undefined && step !== undefined) ? greatest : valueOf(field, last ?? first);
  // A week may end on Sunday: "fri-sun".
  if (greatest === 7 && to === 0 && from > 0) to = 7;
  if (from > to) throw new Wrong(`the ${name} ${range} goes backwards`);
  const by = step === undefined ? 1 : numberOf(step);
  if (!(by >= 1 && by <= greatest)) throw new Wrong(`the step "${step}" of the ${name} is not a number from 1 to ${greatest}`);
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => from + i * by);
}

/**
 * @param {typeof FIELDS[number]} field
 * @param {string} text
 */
function valueOf({ name, least, greatest, names }, text) {
  const named = names.indexOf(text.toLowerCase());
  const value = named < 0 ? numberOf(text) : named + least;
  if (!(value >= least && value <= greatest)) throw new Wrong(`the ${name} "${text}" is not within ${least} to ${greatest}`);
  return value;
}

/**
 * Digits alone: `Number` would take a sign, a fraction and nothing at all as well.
 *
 * @param {string} text
 */
const numberOf = (text) => (/^\d+$/.test(text) ? Number(text) : NaN);
