import { Vendors } from '../tables/vendors';
import { invalid, notFound } from './errors';

/** An address as it is kept: vendors are told apart by it, in any letter case. */
export function emailAddress(text: string) {
  const address = text.trim().toLowerCase();
  if (!/^[^\s@]+@[^\s@]+$/.test(address)) throw invalid(`"${text}" is no email address.`);
  return address;
}

/** A vendor's name as it is kept. */
export function vendorName(text: string) {
  const name = text.trim();
  if (name === '') throw invalid('A vendor needs a name.');
  return name;
}

/** The vendor of this address, if there is one. */
export const vendorAt = (contactEmail: string) => Vendors.findOne((vendor, $) => vendor.contactEmail === $.contactEmail, { contactEmail });

/** The vendor of this id, or an error that says that there is none. */
export async function findVendor(vendorId: string) {
  const vendor = await Vendors.get(vendorId);
  if (!vendor) throw notFound(`vendor ${vendorId}`);
  return vendor;
}
