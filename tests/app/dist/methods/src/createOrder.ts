import { auth } from '@mindstudio-ai/agent';
import { signedIn } from './common/caller';
import { conflict } from './common/errors';
import { newOrderNumber, totalOf } from './common/orders';
import { findVendor } from './common/vendors';
import { PurchaseOrders, type OrderLine } from './tables/purchaseOrders';

export async function createOrder(input: { vendorId: string; lines: OrderLine[] }) {
  auth.requireRole('requester', 'buyer');
  const { lines } = input;
  const vendor = await findVendor(input.vendorId);
  if (vendor.status !== 'approved') throw conflict(`${vendor.name} is ${vendor.status}; orders go to approved vendors only.`);
  const order = await PurchaseOrders.push({
    number: newOrderNumber(),
    vendorId: vendor.id,
    lines,
    total: totalOf(lines),
    requestedBy: signedIn(),
  });
  return { order };
}
