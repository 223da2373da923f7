import { signedIn } from './common/caller';
import { Vendors, type VendorStatus } from './tables/vendors';

export async function listVendors(input: { status?: VendorStatus }) {
  signedIn();
  const { status } = input;
  const vendors = status ? Vendors.filter((vendor, $) => vendor.status === $.status, { status }) : Vendors;
  return { vendors: await vendors.sortBy((vendor) => vendor.name) };
}
