// Errors as the SDK has them. A bundle has a `MindStudioError` of its own, which takes these for its instances by name and code.

export class MindStudioError extends Error {
  name = 'MindStudioError';

  /**
   * @param {string} code stable: what programs should look at
   * @param {number} status the HTTP status that a caller gets
   * @param {string} message
   * @param {unknown} [details]
   */
  constructor(code, status, message, details) {
    super(message);
    this.code = code;
    this.status = status;
    this.details = details;
  }
}

/**
 * Of a call that is wrong in itself.
 * @param {string} code
 * @param {string} message
 */
export const invalid = (code, message) => new MindStudioError(code, 400, message);
