import { customAlphabet } from 'nanoid';
import { PurchaseOrders, type OrderLine } from '../tables/purchaseOrders';
import { invalid, notFound } from './errors';

/** Without letters and digits that look or sound alike. */
const code = customAlphabet('23456789CDFGHJKMNPQRTVWXYZ', 6);

export const newOrderNumber = () => `PO-${code()}`;

/** What all lines cost together, to the cent. */
export function totalOf(lines: OrderLine[]) {
  if (lines.length === 0) throw invalid('An order needs at least one line.');
  let cents = 0;
  for (const { item, quantity, unitPrice } of lines) {
    if (!(quantity > 0)) throw invalid(`The quantity of ${item} has to be more than 0.`);
    if (!(unitPrice >= 0)) throw invalid(`The price of ${item} cannot be less than 0.`);
    cents += Math.round(quantity * unitPrice * 100);
  }
  return cents / 100;
}

/** The order of this number, or an error that says that there is none. */
export async function findOrder(number: string) {
  const order = await PurchaseOrders.findOne((order, $) => order.number === $.number, { number: number.trim().toUpperCase() });
  if (!order) throw notFound(`order ${number}`);
  return order;
}
