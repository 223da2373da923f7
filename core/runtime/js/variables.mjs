// @ts-check
// Which variables a method asks for and finds without a value: a secret that nobody has set is named in the call that misses it. Methods
// see `process.env` as it is.

/** What a secret may be called. */
const NAME = /^[A-Z][A-Z0-9_]*$/;
/** More than a method has a use for: who looks through all names is not told of each. */
const MOST = 64;

/** @type {Set<string>} */
let missed = new Set();

const real = process.env;
Object.defineProperty(process, 'env', {
  configurable: true,
  enumerable: true,
  writable: true,
  value: new Proxy(real, {
    get(env, name) {
      const value = Reflect.get(env, name);
      if (value === undefined && typeof name === 'string' && missed.size < MOST && NAME.test(name))
        missed.add(name);
      return value;
    },
    // By the names alone: that this stands between is not to be seen in what it is set to.
    set: (env, name, value) => Reflect.set(env, name, value),
  }),
});

/** From here on it is what the next one misses. */
export function begin() {
  missed = new Set();
}

/** The names of what was asked for since, and has no value. */
export const asked = () => [...missed];
