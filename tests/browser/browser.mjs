// Does in this machine's Chromium what it is told on stdin, a line of JSON each: [verb, ...arguments]. Answers each with a line:
// { "ok": value } or { "error": text }.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

/** Nothing that is waited for takes as long. */
const PATIENCE = 60_000;

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const page = await (await browser.newContext()).newPage();
page.setDefaultTimeout(PATIENCE);

/** What pages have complained of. */
const faults = [];
let loads = 0;
page.on('pageerror', (error) => faults.push(String(error)));
page.on('load', () => loads++);

/** The part of the page that a row's text names; all of it, where none does. */
const within = (row) => (row ? page.getByRole('row').filter({ hasText: row }) : page);

const VERBS = {
  open: async (url) => (await page.goto(url)).status(),
  reload: async () => (await page.reload()).status(),
  fill: (label, text) => page.getByLabel(label, { exact: true }).fill(text),
  choose: (label, text) => page.getByLabel(label, { exact: true }).selectOption({ label: text }),
  click: (name, row) => within(row).getByRole('button', { name, exact: true }).click(),
  sees: (text, row) => within(row).getByText(text).first().waitFor(),
  text: () => page.locator('body').innerText(),
  /** How often a page was loaded, from the first on. */
  loads: () => loads,
  value: (code) => page.evaluate(code),
  cookies: async () => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`),
  faults: () => faults.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...rest] = JSON.parse(line);
  const answer = await Promise.resolve()
    .then(() => VERBS[verb](...rest))
    .then((ok) => ({ ok: ok ?? null }))
    .catch(async (error) => ({ error: `${error}\n${await VERBS.text().catch(() => '')}` }));
  console.log(JSON.stringify(answer));
}
await browser.close();
