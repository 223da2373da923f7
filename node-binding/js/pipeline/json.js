// @ts-check
// Finds what is wrong with JSON text, and where. `JSON.parse` says it in other words from version to version of Node.js, and
// often without the place.

/** Deeper than any file of an app, and far from the end of the stack. */
const DEEPEST = 500;

/** Why a text is not JSON. */
class NotJson extends Error {
  /**
   * @param {string} message
   * @param {number} offset
   */
  constructor(message, offset) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Reads JSON text. `twice` are the pointers of keys that an object has more than once, of which the last one counts.
 *
 * @param {string} text
 * @returns {{ value: unknown, twice: string[] } | { fault: string, offset: number }}
 */
export function readJson(text) {
  const scanner = new Scanner(text);
  try {
    scanner.all();
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    return { fault: error.message, offset: error.offset };
  }
  return { value: JSON.parse(text), twice: scanner.twice };
}

/**
 * Where the value at a pointer begins in JSON text; of one that is missing, the value that lacks it.
 *
 * @param {string} text
 * @param {string} pointer
 */
export function offsetOf(text, pointer) {
  const scanner = new Scanner(text);
  scanner.all();
  let at = pointer;
  while (at && !scanner.places.has(at)) at = at.slice(0, at.lastIndexOf('/'));
  return scanner.places.get(at) ?? 0;
}

/**
 * The text with only its keys, and numbers and the like, left to read: a value may be a secret, and what shows the text is kept in
 * logs. The text is not JSON, so that a value is whatever is not surely a key. Everything stays in its place.
 *
 * @param {string} text
 */
export function masked(text) {
  const key = /(?:(?<!:\s*)"(?:[^"\\\r\n]|\\.)*"|(?<=[{,]\s*)[\w$]+)(?=\s*:)/;
  const value = /"(?:[^"\\\r\n]|\\.)*"?/;
  const plain = /(?<![^\s,:[{])(?:-?\d+(?:\.\d+)?|true|false|null)(?![^\s,\]}])/;
  const parts = new RegExp(`(${key.source}|${plain.source})|${value.source}|[^\\s"{}[\\],:]`, 'g');
  return text.replace(parts, (part, kept) => kept ?? part.replace(/\\.|[^"]/g, (shown) => '*'.repeat(shown.length)));
}

/**
 * A JSON pointer to `key` of what is at `pointer`.
 *
 * @param {string} pointer
 * @param {string | number} key
 */
export function below(pointer, key) {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

class Scanner {
  offset = 0;
  depth = 0;
  /** @type {string[]} */
  twice = [];
  /** @type {Map<string, number>} */
  places = new Map();

  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }

  all() {
    this.space();
    this.value('');
    this.space();
    if (this.offset < this.text.length) this.fail(`nothing can follow the end, but ${this.found()} does`);
  }

  /** @param {string} pointer */
  value(pointer) {
    this.places.set(pointer, this.offset);
    const c = this.text[this.offset];
    if (c === '{' || c === '[') {
      if (++this.depth > DEEPEST) this.fail(`more than ${DEEPEST} lists and objects are nested here`);
      if (c === '{') this.object(pointer);
      else this.list(pointer);
      this.depth -= 1;
    } else if (c === '"') {
      this.string();
    } else if (!this.take(/-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?(?![\w.])/y) && !this.take(/(true|false|null)(?!\w)/y)) {
      this.fail(`a value has to stand here, but ${this.found()} does`);
    }
  }

  /** @param {string} pointer */
  object(pointer) {
    const open = this.offset;
    const keys = new Set();
    this.entries(open, '}', () => {
      if (this.text[this.offset] !== '"') this.fail(`a key in double quotes has to stand here, but ${this.found(/^[\w$.+-]+(?=\s*:)/)} does`);
      const key = this.string();
      const at = below(pointer, key);
      if (keys.has(key)) this.twice.push(at);
      keys.add(key);
      this.space();
      if (!this.take(/:/y)) this.fail(`a colon has to follow the key "${key}", but ${this.found()} does`);
      this.space();
      this.value(at);
    });
  }

  /** @param {string} pointer */
  list(pointer) {
    let i = 0;
    this.entries(this.offset, ']', () => this.value(below(pointer, i++)));
  }

  /**
   * What stands between brackets, with commas.
   *
   * @param {number} open
   * @param {'}' | ']'} close
   * @param {() => void} entry
   */
  entries(open, close, entry) {
    this.offset += 1;
    this.space();
    if (this.text[this.offset] === close) {
      this.offset += 1;
      return;
    }
    for (;;) {
      entry();
      this.space();
      const comma = this.offset;
      if (this.text[comma] === close) {
        this.offset += 1;
        return;
      }
      if (!this.take(/,/y)) {
        const line = this.text.slice(0, open).split('\n').length;
        const ended = comma >= this.text.length;
        if (ended) this.fail(`the "${this.text[open]}" of line ${line} is never closed`);
        this.fail(`"," or "${close}" has to stand here, but ${this.found()} does`);
      }
      this.space();
      if (this.text[this.offset] === close) this.fail(`a comma stands before the "${close}"; the last entry has none`, comma);
    }
  }

  /** A text in quotes, and what it means. */
  string() {
    const start = this.offset;
    for (let i = start + 1; i < this.text.length; i++) {
      const c = this.text[i];
      if (c === '"') {
        this.offset = i + 1;
        return /** @type {string} */ (JSON.parse(this.text.slice(start, i + 1)));
      }
      if (c === '\n' || c === '\r') this.fail('the quote of this text is not closed on its line', start);
      if (c < ' ') this.fail(`a text cannot hold this character as it is; write ${c === '\t' ? '"\\t"' : 'its escape'}`, i);
      if (c === '\\') {
        const escape = /["\\/bfnrt]|u[\da-fA-F]{4}/y;
        escape.lastIndex = i + 1;
        const known = escape.exec(this.text);
        if (!known) this.fail(`"\\${this.text[i + 1] ?? ''}" means nothing in a text; a backslash itself is "\\\\"`, i);
        i += known[0].length;
      }
    }
    return this.fail('the quote of this text is not closed', start);
  }

  space() {
    this.take(/[ \t\r\n]*/y);
    if (/^(\/[/*]|#)/.test(this.text.slice(this.offset, this.offset + 2))) this.fail('JSON has no comments');
  }

  /** @param {RegExp} pattern */
  take(pattern) {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text);
    if (found) this.offset = pattern.lastIndex;
    return found !== null;
  }

  /**
   * What stands here, in words. A word may be a secret that lost its quotes, and is named only where it has to be something else.
   *
   * @param {RegExp} [name] a word that can be named
   */
  found(name) {
    const rest = this.text.slice(this.offset);
    if (rest === '') return 'the end of the file';
    const named = name?.exec(rest)?.[0];
    if (!named && /^[\p{L}\p{N}_$.+-]/u.test(rest)) return 'something without quotes';
    const shown = named ?? String.fromCodePoint(/** @type {number} */ (rest.codePointAt(0)));
    return shown === "'" ? "' (texts stand in double quotes)" : JSON.stringify(shown.slice(0, 30));
  }

  /**
   * @param {string} message
   * @returns {never}
   */
  fail(message, offset = this.offset) {
    throw new NotJson(message, offset);
  }
}
