// @ts-check
// The one kind of error that this package throws. A module of its own, so that index.js may import what throws it.

/** Why a verb failed. `code` is stable; the message says what happened, what state everything is in, and what to do. */
export class RemyError extends Error {
  name = 'RemyError';

  /** @param {{ code: string, message: string, hint?: string | null, remedy?: readonly import('./index.js').RemedyPart[] | null, object?: string | null, sql?: string | null }} error */
  constructor({
    code,
    message,
    hint = null,
    remedy = hint === null ? null : [hint],
    object = null,
    sql = null,
  }) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.remedy = remedy;
    this.object = object;
    this.sql = sql;
  }
}
