import { api, type Order, type Vendor } from './api';
import type { Act } from './App';

export const euros = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });

export function Orders({ orders, vendors, act }: { orders: Order[]; vendors: Vendor[]; act: Act }) {
  const names = new Map(vendors.map((vendor) => [vendor.id, vendor.name]));
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
    </section>
  );
}
