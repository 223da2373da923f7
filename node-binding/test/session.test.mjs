// The common session, whole: every command of session.txt is run, and its stdout, stderr and status are compared to what is there.
// REMY_WRITE=1 writes the file anew, to be read before it is committed.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const file = new URL('./session.txt', import.meta.url);

/** Takes out what differs from run to run, and the spaces that align it. */
function steady(text, folder) {
  return text
    .replaceAll(folder, '<folder>')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '<time>')
    .replace(/"(at|created_at|live_at|superseded_at|pruned_at)":\d+/g, '"$1":<time>')
    .replace(/"(\w+_ms)":[\d.]+/g, '"$1":<ms>')
    .replace(/\b\d+ pages\b/g, '<n> pages')
    .replace(/"(pages_\w+)":\d+/g, '"$1":<n>')
    .replace(/\b[0-9a-f]{16}\b/g, '<id>')
    .replace(/(<1|\b\d+(\.\d+)?) m?s\b/g, '<ms>')
    .replace(/\b\d+(\.\d+)? (B|KB|MB|GB|TB)\b/g, '<size>')
    .replace(/\b(copy|reflink)\]/g, '<method>]')
    .replace(/(\S) {2,}(?=\S)/g, '$1  ')
    .replace(/^ +(?=[#\d])/gm, '');
}

test('the session', async (t) => {
  const { folder, shell } = workshop(t);
  const script = readFileSync(file, 'utf8');
  const commands = [...script.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command);
  assert(commands.length > 20);
  const parts = [];
  for (const command of commands) {
    const { status, stdout, stderr } = await shell(command, { env: { TZ: 'UTC' } });
    const errors = stderr.replace(/^(?=.)/gm, '| ');
    parts.push(`$ ${command}\n${steady(stdout + errors, folder)}=> ${status}\n`);
  }
  const transcript = parts.join('\n');
  if (process.env.REMY_WRITE) writeFileSync(file, transcript);
  assert.equal(transcript, script);
});
