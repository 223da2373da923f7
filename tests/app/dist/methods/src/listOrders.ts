import { signedIn } from './common/caller';
import { PurchaseOrders, type OrderStatus } from './tables/purchaseOrders';

export async function listOrders(input: { status?: OrderStatus }) {
  signedIn();
  const { status } = input;
  const orders = status ? PurchaseOrders.filter((order, $) => order.status === $.status, { status }) : PurchaseOrders;
  return { orders: await orders.sortBy((order) => order.created_at).reverse().take(100) };
}
