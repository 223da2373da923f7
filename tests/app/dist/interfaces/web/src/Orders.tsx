import type { FormEvent } from 'react';
import { api, type Order, type Vendor } from './api';
import type { Act } from './App';

export const euros = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });

export function Orders({ orders, vendors, act }: { orders: Order[]; vendors: Vendor[]; act: Act }) {
  const names = new Map(vendors.map((vendor) => [vendor.id, vendor.name]));

  function create(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const field = (name: string) => String(new FormData(form).get(name));
    const line = { item: field('item'), quantity: Number(field('quantity')), unitPrice: Number(field('unitPrice')) };
    void act(async () => {
      await api.createOrder({ vendorId: field('vendorId'), lines: [line] });
      form.reset();
    });
  }

  return (
    <section>
      <h2>Purchase orders</h2>
      <table>
        <thead>
          <tr><th>Number</th><th>Vendor</th><th>Items</th><th className="amount">Total</th><th>Status</th><th /></tr>
        </thead>
        <tbody>
          {orders.map((order) => (
            <tr key={order.id}>
              <td>{order.number}</td>
              <td>{names.get(order.vendorId)}</td>
              <td>{order.lines.map(({ item, quantity }) => `${quantity} × ${item}`).join(', ')}</td>
              <td className="amount">{euros.format(order.total)}</td>
              <td><span className={`status ${order.status}`}>{order.status}</span></td>
              <td className="actions">
                {order.status === 'waiting' && <button onClick={() => act(() => api.approveOrder({ number: order.number }))}>Approve</button>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <form onSubmit={create}>
        <select name="vendorId" aria-label="Vendor" required>
          {vendors.filter(({ status }) => status === 'approved').map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
        </select>
        <input name="item" aria-label="Item" placeholder="Item" required />
        <input name="quantity" aria-label="Quantity" placeholder="Quantity" type="number" min="1" required />
        <input name="unitPrice" aria-label="Unit price" placeholder="Unit price" type="number" min="0" step="0.01" required />
        <button>Order</button>
      </form>
    </section>
  );
}
