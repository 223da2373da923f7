import { auth } from '@mindstudio-ai/agent';
import { conflict } from './common/errors';
import { findOrder } from './common/orders';
import { PurchaseOrders } from './tables/purchaseOrders';

export async function approveOrder(input: { number: string }) {
  auth.requireRole('buyer');
  const { id, number, status } = await findOrder(input.number);
  if (status !== 'waiting') throw conflict(`Order ${number} is ${status} already.`);
  return { order: await PurchaseOrders.update(id, { status: 'approved' }) };
}
