import { auth, db, files, getRequestContext, MindStudioError, session, stream } from '@mindstudio-ai/agent';

export const People = db.defineTable<{ email?: string; roles?: string[]; apiKey?: string }>('people');

export const Kept = db.defineTable<{ what: unknown }>('kept');

const about = () => ({ channel: session.channel, threadId: session.threadId });

export async function keep(input: any) {
  await Kept.push({ what: { input, roles: auth.roles, session: about() } });
  return { kept: true };
}

export async function echo(input: any) {
  return { input, user: auth.userId, roles: auth.roles, session: about(), request: getRequestContext() ?? null };
}

export async function greet(input: { name?: string; message?: { from?: { first_name?: string } } }) {
  return `Hello ${input.name ?? input.message?.from?.first_name ?? 'you'}`;
}

export async function refuse() {
  throw new MindStudioError('Not for sale.', 'not_for_sale', 409);
}

export async function nothing() {}

export async function vendor(input: { id: string }) {
  return { id: input.id, name: `Vendor ${input.id}` };
}

export async function slow(input: { ms?: number; options?: { ms?: number } }) {
  const wait = input.ms ?? input.options?.ms ?? 3000;
  await new Promise((later) => setTimeout(later, wait));
  return `waited ${wait}`;
}

export async function tell(input: { parts: (string | Record<string, unknown>)[]; ms?: number }) {
  for (const part of input.parts) await stream(part);
  await new Promise((later) => setTimeout(later, input.ms ?? 0));
  return `told ${input.parts.length}`;
}

export async function mine() {
  auth.requireRole('admin');
  return auth.userId;
}

const Papers = files.defineStore('papers', { contentTypes: ['text/plain', 'image/png'], maxSize: 1 << 20 });

/** A verb of private files. */
export async function papers(input: { verb: string; args: any[] }) {
  return await (Papers as any)[input.verb](...input.args);
}
