import { auth } from '@mindstudio-ai/agent';
import { conflict, invalid } from './common/errors';
import { findOrder } from './common/orders';
import { Invoices } from './tables/invoices';

export async function submitInvoice(input: { orderNumber: string; number: string; amount: number; dueOn: string }) {
  auth.requireRole('accountant');
  const { amount, dueOn } = input;
  if (!(amount > 0)) throw invalid('The amount has to be more than 0.');
  if (!/^\d{4}-\d{2}-\d{2}$/.test(dueOn)) throw invalid(`"${dueOn}" is no day as in 2030-01-31.`);
  const { vendorId, number: orderNumber } = await findOrder(input.orderNumber);
  const number = input.number.trim();
  const known = await Invoices.some((invoice, $) => invoice.vendorId === $.vendorId && invoice.number === $.number, { vendorId, number });
  if (known) throw conflict(`This vendor's invoice ${number} is here already.`);
  return { invoice: await Invoices.push({ number, vendorId, orderNumber, amount, dueOn }) };
}
