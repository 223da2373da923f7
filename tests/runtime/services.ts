// Methods that ask for what is outside: actions, e-mail, events.
import { db, email, events, files, mindstudio } from '@mindstudio-ai/agent';
import { Items } from './tables';

const told = async (work: () => any) => {
  try {
    return await work();
  } catch (e: any) {
    return { code: e.code, status: e.status, message: e.message };
  }
};

export const action = (input: { name: string; args: any[] }) => told(() => (mindstudio as any)[input.name](...input.args));

export const mail = (input: any) => told(() => email.send(input));

export const publish = (input: { channels: any; data: any }) => told(() => events.publish(input.channels, input.data));

export const grant = (input: { channels: any; options?: any }) => told(() => events.grant(input.channels, input.options));

export const odd = async () => [await told(() => events.publish('a', undefined)), await told(() => events.publish('a', 1n)), await told(() => (events as any).subscribe('a'))];

/** A verb of a store of files: what it gives, a file's content as text. */
export const stored = (input: { store: string; options?: any; verb: string; args: any[] }) =>
  told(async () => {
    const Store: any = files.defineStore(input.store, input.options);
    const [first, ...rest] = input.args;
    // Bytes are no JSON.
    const given = first?.bytes ? new Uint8Array(first.bytes) : first?.size ? 'x'.repeat(first.size) : first;
    const done = await Store[input.verb](given, ...rest);
    return Buffer.isBuffer(done) ? done.toString('latin1') : (done ?? null);
  });

/** A link by the file that was put. */
export const shared = async () => {
  const file = await files.defineStore('papers').put('hush', { key: 'a.txt' });
  return await told(() => file.shareUrl({ expiresIn: 3600 }));
};

/** All that this process has of the server's. */
export const environment = async () => JSON.stringify(process.env);

/** How long the database takes while many actions are waited for. */
export async function beside(input: { actions: number }) {
  const waiting = Array.from({ length: input.actions }, () => told(() => mindstudio.slow({})));
  const began = Date.now();
  await db.batch(Items.count(), Items.count());
  const took = Date.now() - began;
  await Promise.all(waiting);
  return took;
}
