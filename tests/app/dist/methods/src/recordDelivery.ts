import { auth } from '@mindstudio-ai/agent';
import { conflict } from './common/errors';
import { findOrder } from './common/orders';
import { PurchaseOrders } from './tables/purchaseOrders';

/** Called by the warehouse's webhook. */
export async function recordDelivery(input: { body: { orderNumber: string } }) {
  auth.requireRole('system');
  const { id, number, status } = await findOrder(input.body.orderNumber);
  // The warehouse may say it twice.
  if (status === 'delivered') return { orderNumber: number, status };
  if (status !== 'approved') throw conflict(`Order ${number} is ${status}; nothing of it should arrive.`);
  await PurchaseOrders.update(id, { status: 'delivered' });
  return { orderNumber: number, status: 'delivered' };
}
