// Something to do with the database: done when it is awaited, once, alone or with others in a `db.batch`.

import { invalid } from './error.mjs';

/** @typedef {import('./values.mjs').Reply} Reply */
/** @typedef {(steps: object[]) => Promise<Reply[]>} Run does all of it in one transaction */
/**
 * What goes to the parent, all at once, and what becomes of its replies.
 * @template R
 * @typedef {{ steps: object[], finish: (replies: Reply[]) => R }} Steps
 */
/**
 * What has to read before it knows what to do: not for a batch, which calls it `what`.
 * @template R
 * @typedef {{ alone: () => Promise<R>, what: string }} Alone
 */
/**
 * @template R
 * @typedef {Steps<R> | Alone<R>} Plan
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
    const plan = this.plan();
    return 'alone' in plan ? plan.alone() : plan.finish(await this.run(plan.steps));
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
      const plan = this.plan();
      return 'alone' in plan
        ? { ...plan, alone: async () => make(await plan.alone()) }
        : { ...plan, finish: (replies) => make(plan.finish(replies)) };
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
 * Does several things in one transaction.
 * @param {Run} run
 * @param {any[]} given
 */
export async function batch(run, given) {
  const operations = given.length === 1 && Array.isArray(given[0]) ? given[0] : given;
  const plans = operations.map((operation, i) => {
    if (!(operation instanceof Operation))
      throw invalid(
        'invalid_batch_operation',
        `db.batch takes operations of tables and db.sql, not awaited; argument ${i + 1} is none`,
      );
    const plan = operation.plan();
    if ('alone' in plan)
      throw invalid('not_batchable', `${plan.what} cannot be part of a batch: await it on its own`);
    return plan;
  });
  const steps = plans.flatMap((plan) => plan.steps);
  const replies = steps.length > 0 ? await run(steps) : [];
  return plans.map((plan) => plan.finish(replies.splice(0, plan.steps.length)));
}
