import { api, type Invoice } from './api';
import type { Act } from './App';
import { euros } from './Orders';

export function Invoices({ invoices, act }: { invoices: Invoice[]; act: Act }) {
  return (
    <section>
      <h2>Invoices</h2>
      <table>
        <thead>
          <tr><th>Number</th><th>Order</th><th>Due</th><th className="amount">Amount</th><th>Status</th><th /></tr>
        </thead>
        <tbody>
          {invoices.map((invoice) => (
            <tr key={invoice.id}>
              <td>{invoice.number}</td>
              <td>{invoice.orderNumber}</td>
              <td>{invoice.dueOn}</td>
              <td className="amount">{euros.format(invoice.amount)}</td>
              <td><span className={`status ${invoice.status}`}>{invoice.status}</span></td>
              <td className="actions">
                {invoice.status === 'open' && <button onClick={() => act(() => api.payInvoice({ invoiceId: invoice.id }))}>Pay</button>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
