import { auth, db } from '@mindstudio-ai/agent';
import { conflict, notFound } from './common/errors';
import { findOrder } from './common/orders';
import { Invoices } from './tables/invoices';

export async function payInvoice(input: { invoiceId: string }) {
  auth.requireRole('accountant');
  const invoice = await Invoices.get(input.invoiceId);
  if (!invoice) throw notFound(`invoice ${input.invoiceId}`);
  if (invoice.status === 'paid') throw conflict(`Invoice ${invoice.number} is paid already.`);
  const order = await findOrder(invoice.orderNumber);
  if (order.status !== 'delivered') throw conflict(`Order ${order.number} is ${order.status}; it is paid when it has arrived.`);
  if (order.total !== invoice.amount) throw conflict(`Order ${order.number} was for ${order.total}, but the invoice asks for ${invoice.amount}.`);
  return { invoice: await Invoices.update(invoice.id, { status: 'paid', paidAt: db.now() }) };
}
