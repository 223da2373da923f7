// A method that does all that tables can, and says where one way and another do not agree.
import { auth, db, getRequestContext, MindStudioError, session, stream, waitUntil } from '@mindstudio-ai/agent';
import { Items, Notes, People } from './tables';

type Row = Awaited<ReturnType<typeof Items.get>> & {};

const check = (is: unknown, what: string) => {
  if (!is) throw new Error(`not so: ${what}`);
};
const same = (a: unknown, b: unknown, what: string) => {
  const [x, y] = [a, b].map((value) => JSON.stringify(value));
  if (x !== y) throw new Error(`${what}: ${x} is not ${y}`);
};

/** The verbs of a table, one after the other. */
export async function verbs() {
  await Items.clear();
  const one = await Items.push({ a: 'one', n: 1, f: true, j: { deep: [1, 'x'] }, u: '7' });
  same([one.a, one.n, one.f, one.j, one.u], ['one', 1, true, { deep: [1, 'x'] }, '7'], 'push');
  check(one.id.length === 36 && one.created_at > 1e12 && one.updated_at >= one.created_at, 'system columns');
  const [two, three] = await Items.push([{ a: 'two', n: 2 }, { a: 'three', n: 3, f: false, j: '5' }]);
  same([two.f, two.j, three.f, three.j], [null, null, false, '5'], 'what is not given, and text that is JSON');
  same((await Items.get(one.id))?.a, 'one', 'get');
  same(await Items.get('none'), null, 'get of nothing');
  const changed = await Items.update(one.id, { n: 10, f: null, id: 'x' } as object);
  same([changed.n, changed.f, changed.id, changed.a], [10, null, one.id, 'one'], 'update');
  check(changed.updated_at > one.updated_at, 'updated_at');
  await Items.update('none', { n: 1 }).then(
    () => check(false, 'an update of nothing'),
    (e) => check(e instanceof MindStudioError && e.code === 'row_not_found' && e.status === 404, `row_not_found ${e}`),
  );
  const key = await Notes.upsert('slug', { slug: 's', text: 'first' });
  const again = await Notes.upsert('slug', { slug: 's', text: 'second' });
  same([again.id, again.text, again.stars], [key.id, 'second', 3], 'upsert, and its defaults');
  await Notes.push({ slug: 's', text: 'third' }).then(
    () => check(false, 'a second one'),
    (e) => check(e instanceof MindStudioError && /slug/.test(e.message), `a push that is not unique: ${e}`),
  );
  same(await Items.findOne((r) => r.n === 2).then((r) => r?.a), 'two', 'findOne');
  const names = (rows: Row[]) => rows.map((r) => r.a);
  same(names(await Items.sortBy((r) => r.n)), ['two', 'three', 'one'], 'sortBy');
  same(names(await Items.sortBy((r) => r.n).reverse()), ['one', 'three', 'two'], 'reverse');
  same(names(await Items.sortBy((r) => -r.n!)), ['one', 'three', 'two'], 'sortBy of what is computed');
  same(names(await Items.sortBy((r) => r.n).skip(1).take(1)), ['three'], 'skip and take');
  same((await Items.sortBy((r) => r.n).skip(2)).length, 1, 'skip alone');
  same([(await Items.sortBy((r) => r.n).first())?.a, (await Items.sortBy((r) => r.n).last())?.a], ['two', 'one'], 'first and last');
  same([await Items.count(), await Items.count((r) => r.n! > 2)], [3, 2], 'count');
  same([await Items.some((r) => r.n === 3), await Items.every((r) => r.n! > 1), await Items.isEmpty()], [true, true, false], 'some, every, isEmpty');
  same([(await Items.min((r) => r.n))?.a, (await Items.max((r) => r.n))?.a], ['two', 'one'], 'min and max');
  same([await Items.sum((r) => r.n), await Items.avg((r) => r.n), await Items.countDistinct((r) => r.f)], [15, 5, 1], 'sum, avg, countDistinct');
  same([await Items.filter((r) => r.a === 'no').sum((r) => r.n), await Items.filter((r) => r.a === 'no').avg((r) => r.n)], [0, null], 'over nothing');
  const groups = await Items.groupBy((r) => r.n! > 2);
  same([groups.get(true)?.length, groups.get(false)?.length], [2, 1], 'groupBy');
  same(
    await Items.aggregate({ by: ['f'], select: { n: { count: true }, sum: { sum: 'n' } }, orderBy: 'sum', desc: true }),
    [{ f: null, n: 2, sum: 12 }, { f: false, n: 1, sum: 3 }],
    'aggregate',
  );
  same(await Items.aggregate({ select: { least: { min: 'n' }, all: { countDistinct: 'a' } } }), { least: 2, all: 3 }, 'aggregate of all');
  const [count, pushed] = await db.batch(Items.count(), Items.push({ a: 'four', n: 4 }));
  same([count, pushed.a], [3, 'four'], 'batch');
  await db.batch(Items.push({ a: 'five', n: 5 }), Notes.push({ slug: 's', text: 'x' })).then(
    () => check(false, 'a batch that fails'),
    () => {},
  );
  same(await Items.count(), 4, 'a batch that fails does nothing');
  same(await db.sql('SELECT a, n + ? AS more FROM items WHERE n = ?', [1, 4]), [{ a: 'four', more: 5 }], 'sql');
  await db.sql('DELETE FROM items').then(
    () => check(false, 'db.sql that writes'),
    () => {},
  );
  const half = await Items.push({ a: '\\ud800 \ud800\ud800\udc00', n: Infinity });
  same([half.a, half.n], ['\\ud800 \ufffd\ud800\udc00', null], 'half of a pair of surrogates, and what JSON has no number for');
  check(half.n === Infinity, 'Infinity');
  await Items.remove(half.id);
  same(await Items.removeAll((r) => r.a === 'four'), 1, 'removeAll');
  await db.batch(Items.removeAll((r) => r.a.toUpperCase() === 'TWO')).then(
    () => check(false, 'removeAll in JavaScript, in a batch'),
    (e) => same(e.code, 'not_batchable', 'removeAll in JavaScript, in a batch'),
  );
  same(await Items.removeAll((r) => r.a.toUpperCase() === 'TWO'), 1, 'removeAll in JavaScript');
  same([await Items.remove(three.id), await Items.remove(three.id)], [{ deleted: true }, { deleted: false }], 'remove');
  same([await Items.clear(), await Items.isEmpty()], [1, true], 'clear');
  return 'fine';
}

/** Predicates, each by the database and by JavaScript: they mean the same. */
export async function predicates(input: { rows: object[]; v: any; w: any; list: any[] }) {
  const { v, w, list } = input;
  await Items.clear();
  await Items.push(input.rows as any);
  const all = await Items.toArray();
  const few = new Set(list);
  const differ: string[] = [];
  const both = async (what: string, read: PromiseLike<any[]>, inJavaScript: (r: any) => unknown) => {
    const ids = (rows: any[]) => rows.map((r) => r.id).sort();
    const [found, meant] = [ids(await read), ids(all.filter((r) => inJavaScript(r)))];
    if (JSON.stringify(found) !== JSON.stringify(meant)) differ.push(`${what}: ${found.length} and ${meant.length}`);
  };
  // The second arrow of each is no predicate of a table's, so that no plan is made of it; it is written in another way where it stands for one.
  await both('a === v', Items.filter((r) => r.a === v), (r) => r.a === v);
  await both('a !== v', Items.filter((r) => r.a !== v), (r) => r.a !== v);
  await both('n === v', Items.filter((r) => r.n === v), (r) => r.n === v);
  await both('n !== v', Items.filter((r) => r.n !== v), (r) => r.n !== v);
  await both('f === v', Items.filter((r) => r.f === v), (r) => r.f === v);
  await both('u === v', Items.filter((r) => r.u === v), (r) => r.u === v);
  await both('j === v', Items.filter((r) => r.j === v), (r) => r.j === v);
  await both('n < v', Items.filter((r) => r.n! < v), (r) => r.n < v);
  await both('n >= v', Items.filter((r) => r.n! >= v), (r) => r.n >= v);
  await both('w > n', Items.filter((r) => w > r.n!), (r) => w > r.n);
  await both('a <= v', Items.filter((r) => r.a! <= v), (r) => r.a <= v);
  await both('a > w', Items.filter((r) => r.a! > w), (r) => r.a > w);
  await both('!f', Items.filter((r) => !r.f), (r) => !r.f);
  await both('f', Items.filter((r) => r.f), (r) => r.f);
  await both('n', Items.filter((r) => r.n), (r) => r.n);
  await both('a', Items.filter((r) => r.a), (r) => r.a);
  await both('j', Items.filter((r) => r.j), (r) => r.j);
  await both('a == null', Items.filter((r) => r.a == null), (r) => r.a == null);
  await both('n != null', Items.filter((r) => r.n != null), (r) => r.n != null);
  await both('list.includes(a)', Items.filter((r) => list.includes(r.a)), (r) => list.includes(r.a));
  await both('list.includes(n)', Items.filter((r) => list.includes(r.n)), (r) => list.includes(r.n));
  await both('few.has(u)', Items.filter((r) => few.has(r.u)), (r) => few.has(r.u));
  await both('a?.includes(v)', Items.filter((r) => r.a?.includes(v)), (r) => r.a?.includes(v));
  await both('a?.startsWith(v)', Items.filter((r) => r.a?.startsWith(v)), (r) => r.a?.startsWith(v));
  await both('a?.endsWith(w)', Items.filter((r) => r.a?.endsWith(w)), (r) => r.a?.endsWith(w));
  await both('a === b', Items.filter((r) => r.a === r.b), (r) => r.a === r.b);
  await both('a !== b', Items.filter((r) => r.a !== r.b), (r) => r.a !== r.b);
  await both('!v || a === v', Items.filter((r) => !v || r.a === v), (r) => !v || r.a === v);
  await both('v ? n > w : f', Items.filter((r) => (v ? r.n! > w : r.f)), (r) => (v ? r.n > w : r.f));
  await both('!(n > v && a !== w) || f', Items.filter((r) => !(r.n! > v && r.a !== w) || r.f), (r) => !(r.n > v && r.a !== w) || r.f);
  await both('bound', Items.filter((r, $) => r.a === $.v || r.n! > $.deep.w, { v, deep: { w } }), (r) => r.a === v || r.n > w);
  return differ;
}

/** Who calls, and by what. */
export async function about() {
  return {
    user: auth.userId,
    roles: auth.roles,
    admin: auth.hasRole('admin'),
    admins: auth.getUsersByRole('admin'),
    session,
    channel: session.channel ?? null,
    request: getRequestContext(),
    secret: process.env.API_TOKEN ?? null,
  };
}

export async function onlyAdmin() {
  auth.requireRole('admin');
  console.log(`token ${process.env.API_TOKEN}`);
  return 'let in';
}

export async function fails(input: { how: string }) {
  switch (input.how) {
    case 'own':
      throw new MindStudioError('Not today.', 'not_today', 418, { until: 'tomorrow' });
    case 'plain':
      throw new Error('a mistake');
    case 'odd':
      throw 'just a text';
    case 'bigint':
      return 5n;
    case 'managed':
      return People.push({ email: 'x@example.org', name: 'x' } as object as any);
    case 'leak':
      throw new MindStudioError('Refused.', `no_${process.env.API_TOKEN}`, 502, {
        asked: [{ url: `https://api/?token=${process.env.API_TOKEN}`, [process.env.API_TOKEN!]: 1 }],
      });
    case 'table':
      return db.sql('SELECT * FROM _remy_release');
    default:
      return undefined;
  }
}

export async function streams(input: { n: number }) {
  for (let i = 0; i < input.n; i++) await stream(`part ${i}`);
  await stream({ done: true });
  waitUntil(Notes.upsert('slug', { slug: 'later', text: 'written after the answer' }));
  return input.n;
}
