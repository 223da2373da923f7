import { auth } from '@mindstudio-ai/agent';
import { conflict } from './common/errors';
import { findOrder } from './common/orders';
import { PurchaseOrders } from './tables/purchaseOrders';

export async function cancelOrder(input: { number: string }) {
  auth.requireRole('requester', 'buyer');
  const { id, number, status } = await findOrder(input.number);
  if (status === 'delivered' || status === 'cancelled') throw conflict(`Order ${number} is ${status} already.`);
  return { order: await PurchaseOrders.update(id, { status: 'cancelled' }) };
}
