import { Vendors } from '../src/tables/vendors';

export async function newCompany() {
  await Vendors.push({ name: 'Acme Paper', contactEmail: 'sales@acme.example' });
}
