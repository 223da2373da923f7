import { auth, db } from '@mindstudio-ai/agent';
import { PurchaseOrders } from './tables/purchaseOrders';

/** Called every night. */
export async function cancelStaleOrders() {
  auth.requireRole('system');
  const before = db.ago(db.days(30));
  const stale = await PurchaseOrders.filter((order, $) => order.status === 'waiting' && order.created_at < $.before, { before });
  await db.batch(...stale.map((order) => PurchaseOrders.update(order.id, { status: 'cancelled' })));
  return { cancelled: stale.map((order) => order.number) };
}
