import { db, type User } from '@mindstudio-ai/agent';

export type VendorStatus = 'pending' | 'approved' | 'rejected';

/** Somebody to buy from. */
export interface Vendor {
  name: string;
  contactEmail: string;
  status: VendorStatus;
  paymentTerms?: string;
  /** Nobody, where the vendor asked by email. */
  requestedBy?: User;
}

export const Vendors = db.defineTable<Vendor>('vendors', {
  unique: [['contactEmail']],
  defaults: { status: 'pending' },
});
