import { auth, db } from '@mindstudio-ai/agent';
import { PurchaseOrders } from './tables/purchaseOrders';
import { Vendors } from './tables/vendors';

export async function summarizeSpending() {
  auth.requireRole('buyer');
  const ordered = PurchaseOrders.filter((order) => order.status === 'approved' || order.status === 'delivered');
  const [sums, vendors] = await db.batch(
    ordered.aggregate({ by: ['vendorId'], select: { orders: { count: true }, total: { sum: 'total' } }, orderBy: 'total', desc: true, limit: 10 }),
    Vendors.toArray(),
  );
  const names = new Map(vendors.map((vendor) => [vendor.id, vendor.name]));
  return { spending: sums.map(({ vendorId, orders, total }) => ({ vendor: names.get(vendorId) ?? vendorId, orders, total })) };
}
