// @ts-check
// What `@mindstudio-ai/interface/voice` resolves to in a web project. Voice sessions are not served yet: they throw, when they are begun.

class VoiceError extends Error {
  name = 'MindStudioInterfaceError';
  code = 'not_supported';
}

/**
 * An export that remy does not have, as in the module of pages.
 * @param {string} name
 * @returns {any}
 */
// eslint-disable-next-line no-unused-vars
function remyUnknown(name) {
  const refuse = () => {
    throw new VoiceError(`remy does not support ${name} of @mindstudio-ai/interface/voice`);
  };
  return new Proxy(class {}, { apply: refuse, construct: refuse });
}

const notServed = (/** @type {string} */ what) => async () => {
  throw new VoiceError(`voice.${what} is not served by remy yet`);
};

/** A client for spoken conversations with the app's agent. */
export function createVoiceClient() {
  return Object.fromEntries(
    ['startSession', 'listSessions', 'getSession'].map((name) => [name, notServed(name)]),
  );
}
