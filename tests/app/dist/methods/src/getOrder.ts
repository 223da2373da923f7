import { signedIn } from './common/caller';
import { findOrder } from './common/orders';
import { findVendor } from './common/vendors';

export async function getOrder(input: { number: string }) {
  signedIn();
  const order = await findOrder(input.number);
  return { order, vendor: await findVendor(order.vendorId) };
}
