// @ts-check
// JSON text: what is wrong with it, and where. It is read as the manifest of an app.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AppError, line } from './steps/faults.js';
import { readApp } from './steps/read.js';

const root = mkdtempSync(join(tmpdir(), 'remy-json-'));
after(() => rmSync(root, { recursive: true, force: true }));

/**
 * The one fault of a text that is not JSON. Those of what is JSON, and no manifest, have pointers or no place.
 *
 * @param {string} text
 */
const faultOf = (text) => {
  writeFileSync(join(root, 'mindstudio.json'), text);
  try {
    readApp(root);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.faults.find(({ pointer, source }) => pointer === '' && source !== undefined);
  }
  return undefined;
};

/** @param {string} text */
const shown = (text) => {
  const fault = faultOf(text);
  return fault && line({ ...fault, file: 'a.json' });
};

test('what is wrong is shown in its line', () => {
  assert.equal(
    shown('{\n  "a": 1,\n  "b": 2,\n}'),
    'a.json:3:9: a comma stands before the "}"; the last entry has none\n    "b": *,\n          ^',
  );
  assert.equal(
    shown('{\n\t"a": 1\n\t"b": 2\n}'),
    'a.json:3:2: "," or "}" has to stand here, but "\\"" does\n  \t"b": *\n  \t^',
  );
  assert.equal(
    shown('{ "a" 1 }'),
    'a.json:1:7: a colon has to follow the key "a", but something without quotes does\n  { "*" * }\n        ^',
  );
});

for (const [text, expected] of [
  ['', '1:1: a value has to stand here, but the end of the file does'],
  ['{"a": [1, 2', '1:12: the "[" of line 1 is never closed'],
  ['\n{"a": 1', '2:8: the "{" of line 2 is never closed'],
  ['[1, 2,]', '1:6: a comma stands before the "]"; the last entry has none'],
  ['{"a": 1} x', '1:10: nothing can follow the end, but something without quotes does'],
  [
    "{'a': 1}",
    "1:2: a key in double quotes has to stand here, but ' (texts stand in double quotes) does",
  ],
  ['{a: 1}', '1:2: a key in double quotes has to stand here, but "a" does'],
  ['{"a": undefined}', '1:7: a value has to stand here, but something without quotes does'],
  ['{"a": 01}', '1:7: a value has to stand here, but something without quotes does'],
  ['{"a": .5}', '1:7: a value has to stand here, but something without quotes does'],
  ['{ // no\n}', '1:3: JSON has no comments'],
  ['{"a": "x\n"}', '1:7: the quote of this text is not closed on its line'],
  ['{"a": "x', '1:7: the quote of this text is not closed'],
  ['{"a": "\t"}', '1:8: a text cannot hold this character as it is; write "\\t"'],
  ['{"a": "C:\\dir"}', '1:10: "\\d" means nothing in a text; a backslash itself is "\\\\"'],
  ['['.repeat(600), '1:501: more than 500 lists and objects are nested here'],
]) {
  test(`not JSON: ${JSON.stringify(text.slice(0, 20))}`, () =>
    assert.equal(String(shown(text)).split('\n')[0], `a.json:${expected}`));
}

for (const [name, text] of Object.entries({
  'before a comma that is missing': '{ "secret": "whsec_TOP"\n"a": 1 }',
  'on the line of the fault': '{ "secret": "whsec_TOP" "a": 1 }',
  'without quotes': '{ "secret": whsec_TOP }',
  'without its first quote': '{ "secret": whsec_TOP", "a": 1 }',
  'without its last quote': '{ "secret": "whsec_TOP, "a": 1 }',
  'after a key without its last quote': '{ "secret: "whsec_TOP", "a": 1 }',
  'in other quotes': '{ "secret": \'whsec_TOP\' }',
  'before a colon': '{ "secret": "whsec_TOP": "a": 1 }',
  'after an escape that means nothing': '{ "secret": "\\xwhsec_TOP" }',
  'after an escaped quote': '{ "secret": "\\"whsec_TOP" "a": 1 }',
  'behind a comment': '{ "a": 1, // whsec_TOP\n}',
})) {
  test(`a secret is not shown: ${name}`, () =>
    assert.doesNotMatch(JSON.stringify(shown(text)), /whsec|TOP/));
}

test('a key and the column are shown, and no value', () => {
  assert.equal(
    shown('{ "café": "señor", "n": -1.5 "key": true }'),
    'a.json:1:30: "," or "}" has to stand here, but "\\"" does\n  { "café": "*****", "n": **** "key": **** }\n                               ^',
  );
});

test('a long line is cut around the fault', () => {
  const text = `{"a": "${'x'.repeat(500)}" "b": "${'y'.repeat(500)}"}`;
  const [, source, caret] = String(shown(text)).split('\n');
  assert.equal(source, `  …${'*'.repeat(57)}" "b": "${'*'.repeat(35)}…`);
  assert.equal(caret, `  ${' '.repeat(60)}^`);
});

test('it takes what JSON.parse takes, and nothing else', () => {
  const whole = '{"a": [1, -2.5e3, "x\\n\\u00e9", true, null, {}], "b\\"": {"c": []}, "d": ""}';
  const parses = (/** @type {string} */ text) => {
    try {
      return JSON.parse(text) === undefined;
    } catch {
      return null;
    }
  };
  let broken = 0;
  for (let i = 0; i < whole.length; i++) {
    for (const piece of [
      '',
      '"',
      '\\',
      ',',
      '}',
      ']',
      '{',
      '[',
      '0',
      '-',
      '.',
      'e',
      ' ',
      '\n',
      '\u0001',
      't',
      ':',
      '/',
    ]) {
      for (const text of [
        whole.slice(0, i) + piece + whole.slice(i + 1),
        whole.slice(0, i) + piece + whole.slice(i),
        whole.slice(0, i) + piece,
      ]) {
        const found = faultOf(text);
        assert.equal(found !== undefined, parses(text) === null, text);
        if (found) {
          broken += 1;
          const source = text.split('\n')[/** @type {number} */ (found.line) - 1];
          assert(/** @type {number} */ (found.column) <= source.length + 1, text);
        }
      }
    }
  }
  assert(broken > 1000, `${broken} broken texts`);
});
