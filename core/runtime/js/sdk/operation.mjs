// Something to do with the database: done when it is awaited, once, alone or with others in a `db.batch`.

import { invalid } from './error.mjs';

/** @typedef {import('./values.mjs').Reply} Reply */
/** @typedef {(steps: object[]) => Promise<Reply[]>} Run does all of it in one transaction */
/**
 * What goes to the parent, all at once, and what becomes of its replies.
 * @template R
 * @typedef {{ steps: object[], finish: (replies: Reply[]) => R }} Plan
 */

/**
 * @template R
 * @implements {PromiseLike<R>}
 */
export class Operation {
  /** @type {Promise<R> | undefined} */
  #result;

  /**
   * @param {Run} run
   * @param {() => Plan<R>} plan is asked when the operation is done: values that predicates close over are those of that moment
   */
  constructor(run, plan) {
    this.run = run;
    this.plan = plan;
  }

  /** @returns {Promise<R>} */
  async execute() {
    const { steps, finish } = this.plan();
    return finish(await this.run(steps));
  }

  /** The result, which is asked for once. */
  get #asked() {
    return (this.#result ??= this.execute());
  }

  /**
   * @template A, [B=never]
   * @param {((value: R) => A | PromiseLike<A>) | null} [done]
   * @param {((reason: any) => B | PromiseLike<B>) | null} [failed]
   * @returns {Promise<A | B>}
   */
  // oxlint-disable-next-line unicorn/no-thenable -- it is awaited: that is how it is done
  then(done, failed) {
    return /** @type {Promise<A | B>} */ (this.#asked.then(done, failed));
  }

  /**
   * The same, with something made of its result.
   * @template S
   * @param {(result: R) => S} make
   * @returns {Operation<S>}
   */
  into(make) {
    return new Operation(this.run, () => {
      const { steps, finish } = this.plan();
      return { steps, finish: (replies) => make(finish(replies)) };
    });
  }

  /** @param {((reason: any) => any) | null} [failed] */
  catch(failed) {
    return this.#asked.catch(failed);
  }

  /** @param {(() => void) | null} [then] */
  finally(then) {
    return this.#asked.finally(then);
  }
}

/**
 * One that needs to read before it knows what to do: not for a batch.
 * @template R
 * @extends {Operation<R>}
 */
export class Sequence extends Operation {
  /**
   * @param {Run} run
   * @param {() => Promise<R>} work
   * @param {string} what
   */
  constructor(run, work, what) {
    super(run, () => {
      throw invalid('not_batchable', `${what} cannot be part of a batch: await it on its own`);
    });
    this.execute = work;
  }
}

/**
 * Does several things in one transaction.
 * @param {Run} run
 * @param {any[]} given
 */
export async function batch(run, given) {
  const operations = given.length === 1 && Array.isArray(given[0]) ? given[0] : given;
  const plans = operations.map((operation, i) => {
    if (operation instanceof Operation) return operation.plan();
    throw invalid(
      'invalid_batch_operation',
      `db.batch takes operations of tables and db.sql, not awaited; argument ${i + 1} is none`,
    );
  });
  const steps = plans.flatMap((plan) => plan.steps);
  const replies = steps.length > 0 ? await run(steps) : [];
  return plans.map((plan) => plan.finish(replies.splice(0, plan.steps.length)));
}
