import { auth } from '@mindstudio-ai/agent';
import { conflict } from './common/errors';
import { emailAddress, findVendor, vendorAt, vendorName } from './common/vendors';
import { Vendors, type Vendor } from './tables/vendors';

export async function updateVendor(input: { vendorId: string; name?: string; contactEmail?: string; notes?: string }) {
  auth.requireRole('buyer');
  const { id } = await findVendor(input.vendorId);
  // What is not given stays as it is.
  const changes: Partial<Vendor> = {};
  if (input.name !== undefined) changes.name = vendorName(input.name);
  if (input.contactEmail !== undefined) {
    const contactEmail = emailAddress(input.contactEmail);
    const known = await vendorAt(contactEmail);
    if (known && known.id !== id) throw conflict(`${known.name} has this address already.`);
    changes.contactEmail = contactEmail;
  }
  if (input.notes !== undefined) changes.notes = input.notes;
  return { vendor: await Vendors.update(id, changes) };
}
