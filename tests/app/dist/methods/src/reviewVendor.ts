import { auth } from '@mindstudio-ai/agent';
import { conflict } from './common/errors';
import { findVendor } from './common/vendors';
import { Vendors } from './tables/vendors';

export async function reviewVendor(input: { vendorId: string; decision: 'approved' | 'rejected' }) {
  auth.requireRole('buyer');
  const { id, name, status } = await findVendor(input.vendorId);
  if (status !== 'pending') throw conflict(`${name} is ${status} already.`);
  return { vendor: await Vendors.update(id, { status: input.decision }) };
}
