import { createClient } from '@mindstudio-ai/interface';

export interface Vendor {
  id: string;
  name: string;
  contactEmail: string;
  status: 'pending' | 'approved' | 'rejected';
  paymentTerms?: string | null;
}

export interface Order {
  id: string;
  number: string;
  vendorId: string;
  lines: { item: string; quantity: number; unitPrice: number }[];
  total: number;
  status: 'waiting' | 'approved' | 'delivered' | 'cancelled';
}

/** The methods that this page calls. */
export const api = createClient<{
  listVendors(): Promise<{ vendors: Vendor[] }>;
  requestVendor(input: { name: string; contactEmail: string; paymentTerms?: string }): Promise<{ vendor: Vendor }>;
  reviewVendor(input: { vendorId: string; decision: 'approved' | 'rejected' }): Promise<{ vendor: Vendor }>;
  listOrders(): Promise<{ orders: Order[] }>;
  createOrder(input: { vendorId: string; lines: Order['lines'] }): Promise<{ order: Order }>;
  approveOrder(input: { number: string }): Promise<{ order: Order }>;
}>();
