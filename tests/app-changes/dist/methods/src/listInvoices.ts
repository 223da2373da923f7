import { signedIn } from './common/caller';
import { Invoices, type InvoiceStatus } from './tables/invoices';

export async function listInvoices(input: { status?: InvoiceStatus }) {
  signedIn();
  const { status } = input;
  const invoices = status ? Invoices.filter((invoice, $) => invoice.status === $.status, { status }) : Invoices;
  return { invoices: await invoices.sortBy((invoice) => invoice.dueOn) };
}
