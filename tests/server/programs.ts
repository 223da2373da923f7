import { auth, db, getRequestContext, MindStudioError, stream } from '@mindstudio-ai/agent';

export const Ticks = db.defineTable<{ by: string; roles: string }>('ticks');

export async function echo(input: unknown) {
  return { input, user: auth.userId, roles: auth.roles, request: getRequestContext() };
}

export async function nothing() {}

export async function refuse() {
  throw new MindStudioError('Not for sale.', 'not_for_sale', 409);
}

export async function parts(input: { texts: string[] }) {
  for (const text of input.texts) await stream(text);
  return input.texts.length;
}

export async function needsUser() {
  auth.requireRole('clerk');
  return auth.userId;
}

export async function hook(input: { body: any }) {
  if (input.body?.quiet) return;
  return { input, roles: auth.roles, user: auth.userId };
}

export async function tick() {
  await Ticks.push({ by: 'tick', roles: auth.roles.join() });
  return await Ticks.count();
}

export async function slow() {
  await Ticks.push({ by: 'slow', roles: auth.roles.join() });
  await new Promise((later) => setTimeout(later, 20_000));
}
