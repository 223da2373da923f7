import { db, type User } from '@mindstudio-ai/agent';

export type OrderStatus = 'waiting' | 'approved' | 'delivered' | 'cancelled';

export interface OrderLine {
  item: string;
  quantity: number;
  unitPrice: number;
}

/** What is ordered from a vendor. */
export interface PurchaseOrder {
  /** What people call it, as in PO-7K3MX2. */
  number: string;
  vendorId: string;
  lines: OrderLine[];
  total: number;
  status: OrderStatus;
  requestedBy?: User;
}

export const PurchaseOrders = db.defineTable<PurchaseOrder>('purchaseOrders', {
  unique: [['number']],
  defaults: { status: 'waiting' },
});
