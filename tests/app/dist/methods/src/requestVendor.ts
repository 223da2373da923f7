import { signedIn } from './common/caller';
import { conflict } from './common/errors';
import { emailAddress, vendorAt, vendorName } from './common/vendors';
import { Vendors } from './tables/vendors';

export async function requestVendor(input: { name: string; contactEmail: string; paymentTerms?: string }) {
  const requestedBy = signedIn();
  const name = vendorName(input.name);
  const contactEmail = emailAddress(input.contactEmail);
  const known = await vendorAt(contactEmail);
  if (known) throw conflict(`${known.name} has this address already.`);
  const vendor = await Vendors.push({ name, contactEmail, paymentTerms: input.paymentTerms, requestedBy });
  return { vendor };
}
