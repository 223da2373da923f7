import { auth } from '@mindstudio-ai/agent';
import { emailAddress, vendorAt, vendorName } from './common/vendors';
import { Vendors } from './tables/vendors';

/** A mail to the app: its sender is the vendor, and its subject the vendor's name. */
export async function requestVendorByEmail(input: { from: string; subject: string }) {
  auth.requireRole('system');
  const contactEmail = emailAddress(input.from);
  // Who writes again is not requested again.
  const vendor = (await vendorAt(contactEmail)) ?? (await Vendors.push({ name: vendorName(input.subject), contactEmail }));
  return { vendor };
}
