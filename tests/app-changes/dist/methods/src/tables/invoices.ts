import { db } from '@mindstudio-ai/agent';

export type InvoiceStatus = 'open' | 'paid';

/** What a vendor asks for an order. */
export interface Invoice {
  /** The vendor's own number. */
  number: string;
  vendorId: string;
  orderNumber: string;
  amount: number;
  /** A day, as in 2030-01-31. */
  dueOn: string;
  status: InvoiceStatus;
  paidAt?: number;
}

export const Invoices = db.defineTable<Invoice>('invoices', {
  unique: [['vendorId', 'number']],
  defaults: { status: 'open' },
});
