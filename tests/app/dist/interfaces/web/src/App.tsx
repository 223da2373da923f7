import { useCallback, useEffect, useState } from 'react';
import { api, type Order, type Vendor } from './api';
import { Orders } from './Orders';
import { Vendors } from './Vendors';

/** Does something that may fail, and shows what there is now. */
export type Act = (work: () => Promise<unknown>) => Promise<void>;

async function load() {
  const [{ vendors }, { orders }] = await Promise.all([api.listVendors(), api.listOrders()]);
  return { vendors, orders };
}

export function App() {
  const [data, setData] = useState<{ vendors: Vendor[]; orders: Order[] } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const act = useCallback<Act>(async (work) => {
    try {
      await work();
      setData(await load());
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  }, []);

  useEffect(() => void act(async () => {}), [act]);

  return (
    <main>
      <h1>Procure-to-Pay</h1>
      {problem && <p role="alert">{problem}</p>}
      {data ? (
        <>
          <Vendors vendors={data.vendors} act={act} />
          <Orders orders={data.orders} vendors={data.vendors} act={act} />
        </>
      ) : (
        !problem && <p>Loading…</p>
      )}
    </main>
  );
}
