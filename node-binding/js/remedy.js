// @ts-check
// What to do about an error, as parts: who shows them has words of its own for verbs and options.

/** @typedef {import('./index.js').RemedyPart} RemedyPart */

/**
 * The parts as a sentence, with what `word` has for one in the place of the general words.
 *
 * @param {readonly RemedyPart[]} remedy
 * @param {(part: Exclude<RemedyPart, string>) => string | null} [word]
 */
export function worded(remedy, word = () => null) {
  return remedy
    .map((part, i) =>
      typeof part === 'string' ? part : (word(part) ?? inGeneral(part, i === 0 ? 'The' : 'the')),
    )
    .join('');
}

/**
 * The words of core's messages.
 *
 * @param {Exclude<RemedyPart, string>} part
 * @param {string} the
 */
function inGeneral(part, the) {
  if ('allow' in part) return `"allow":${JSON.stringify(part.allow)}`;
  if ('rename' in part) return `"renames":${JSON.stringify([part.rename])}`;
  if (!('verb' in part)) return `${the} option ${part.option}`;
  const of = part.release === undefined ? '' : ` of release ${part.release}`;
  const having = part.option === undefined ? '' : ` with the option ${part.option}`;
  return `${the} verb ${part.verb}${of}${having}`;
}
