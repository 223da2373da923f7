// @ts-check
// Exit statuses.

/**
 * Of the codes of errors, as core's `Error::exit_code` has it. What is not here is 1.
 * @type {Record<string, number>}
 */
export const STATUS = {
  invalid_argument: 2,
  schema_invalid: 3,
  unsupported_change: 3,
  ambiguous_rename: 3,
  lossy_change: 3,
  not_promotable: 3,
  pruned: 3,
  no_previous_release: 3,
  busy: 4,
  pause_exceeded: 4,
  live_in_use: 4,
};
/**
 * Of the signals that call a verb off.
 * @type {Partial<Record<NodeJS.Signals, number>>}
 */
export const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
