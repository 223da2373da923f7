import { auth, MindStudioError, session, stream } from '@mindstudio-ai/agent';
import { Orders } from './tables';

const VERSION = 'one';

export async function addOrder(input: { item: string; amount?: number }) {
  const { id } = await Orders.push({ item: input.item, amount: input.amount ?? 1 });
  return { id, version: VERSION };
}

export async function countOrders() {
  return await Orders.count();
}

export async function about(input: unknown) {
  return { user: auth.userId, channel: session.channel, visitor: session.visitorId, input, version: VERSION };
}

export async function fail(input: { how: string }) {
  if (input.how === 'own') throw new MindStudioError('Not today.', 'not_today', 418);
  if (input.how === 'unique') {
    await Orders.push({ item: 'same', amount: 1 });
    await Orders.push({ item: 'same', amount: 1 });
  }
  throw new Error('a mistake');
}

export async function streamParts(input: { texts: string[]; fails?: boolean }) {
  for (const text of input.texts) await stream(text);
  await stream({ done: input.texts.length });
  if (input.fails) throw new MindStudioError('Half way.', 'half_way', 409);
  return undefined;
}

export async function streamForEver() {
  for (;;) await stream({ noise: 'x'.repeat(10_000) });
}

export async function wait(input: { ms: number; item?: string }) {
  await new Promise((later) => setTimeout(later, input.ms));
  if (input.item) await Orders.push({ item: input.item, amount: 1 });
  return VERSION;
}

export async function fetches(input: { url: string; method?: string; headers?: Record<string, string>; body?: string }) {
  const { url, ...how } = input;
  const reply = await fetch(url, how);
  return { status: reply.status, text: await reply.text() };
}
