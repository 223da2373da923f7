import { newOrderNumber, totalOf } from '../src/common/orders';
import { PurchaseOrders, type OrderLine, type OrderStatus } from '../src/tables/purchaseOrders';
import { Vendors } from '../src/tables/vendors';

export async function busyMonth() {
  const acme = await Vendors.push({ name: 'Acme Paper', contactEmail: 'sales@acme.example', status: 'approved' });
  const lumen = await Vendors.push({ name: 'Lumen Lamps', contactEmail: 'orders@lumen.example', status: 'approved' });
  await Vendors.push([
    { name: 'Northwind Chairs', contactEmail: 'hello@northwind.example' },
    { name: 'Too Good To Be True', contactEmail: 'win@toogood.example', status: 'rejected' },
  ]);

  const order = (vendorId: string, status: OrderStatus, lines: OrderLine[]) => ({ number: newOrderNumber(), vendorId, status, lines, total: totalOf(lines) });
  await PurchaseOrders.push([
    order(acme.id, 'delivered', [{ item: 'Paper, 500 sheets', quantity: 40, unitPrice: 4.2 }]),
    order(acme.id, 'waiting', [{ item: 'Envelopes, 100', quantity: 5, unitPrice: 7.95 }, { item: 'Stamps, 100', quantity: 1, unitPrice: 85 }]),
    order(lumen.id, 'approved', [{ item: 'Desk lamp', quantity: 12, unitPrice: 39.9 }]),
    order(lumen.id, 'cancelled', [{ item: 'Chandelier', quantity: 1, unitPrice: 2400 }]),
  ]);
}
