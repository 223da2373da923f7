// @ts-check
/** What the line of a build's log is about that says which source was staged: it is found by this, and not by its words. */
export const SOURCE = 'source';
