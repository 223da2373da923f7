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

/** Why an app cannot be published: all of its faults, each a line of the message. */
export class AppError extends RemyError {
  name = 'AppError';

  /** @param {Refused} refused as the addon refuses an app */
  constructor(refused) {
    super(refused);
    this.faults = refused.faults.map(fault);
    /** All that a program said which failed. */
    this.output = refused.output ?? undefined;
  }
}

/** Why a call of a method failed: what the method threw, or why the call was ended. */
export class CallError extends RemyError {
  name = 'CallError';

  /** @param {ConstructorParameters<typeof RemyError>[0] & { status: number, details?: unknown, stack?: string }} error */
  constructor({ status, details, stack, ...error }) {
    super(error);
    /** As HTTP has it, 400 to 599. */
    this.status = status;
    /** What the method gave besides. */
    this.details = details;
    /** Where the method threw it. */
    this.methodStack = stack;
  }
}

/**
 * An error as the addon has it.
 *
 * @typedef {ConstructorParameters<typeof RemyError>[0] & { faults: Told[], output?: string | null }} Refused
 * @typedef {{ file: string, pointer: string | null, line: number | null, column: number | null, source: string | null, message: string }} Told
 */

/**
 * The error that the addon has refused a call with.
 *
 * @param {Refused} refused
 */
export function errorOf(refused) {
  return refused.faults?.length ? new AppError(refused) : new RemyError(refused);
}

/**
 * A fault as the addon has it, as the package has it.
 *
 * @param {Told} told
 * @returns {import('./index.js').Fault}
 */
export function fault({ file, pointer, message, line, column, source }) {
  const place =
    line === null ? {} : { line, column: column ?? 1, ...(source === null ? {} : { source }) };
  return { file, pointer: pointer ?? '', message, ...place };
}
