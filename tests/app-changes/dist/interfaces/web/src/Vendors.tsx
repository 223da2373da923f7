import type { FormEvent } from 'react';
import { api, type Vendor } from './api';
import type { Act } from './App';

export function Vendors({ vendors, act }: { vendors: Vendor[]; act: Act }) {
  const review = (vendorId: string, decision: 'approved' | 'rejected') => act(() => api.reviewVendor({ vendorId, decision }));

  function request(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const field = (name: string) => String(new FormData(form).get(name));
    void act(async () => {
      await api.requestVendor({ name: field('name'), contactEmail: field('contactEmail'), notes: field('notes') || undefined });
      form.reset();
    });
  }

  return (
    <section>
      <h2>Vendors</h2>
      <table>
        <thead>
          <tr><th>Name</th><th>Contact</th><th>Notes</th><th>Status</th><th /></tr>
        </thead>
        <tbody>
          {vendors.map((vendor) => (
            <tr key={vendor.id}>
              <td>{vendor.name}</td>
              <td>{vendor.contactEmail}</td>
              <td>{vendor.notes}</td>
              <td><span className={`status ${vendor.status}`}>{vendor.status}</span></td>
              <td className="actions">
                {vendor.status === 'pending' && (
                  <>
                    <button onClick={() => review(vendor.id, 'approved')}>Approve</button>
                    <button onClick={() => review(vendor.id, 'rejected')}>Reject</button>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <form onSubmit={request}>
        <input name="name" aria-label="Name" placeholder="Name" required />
        <input name="contactEmail" aria-label="Contact email" placeholder="Contact email" type="email" required />
        <input name="notes" aria-label="Notes" placeholder="Notes" />
        <button>Request vendor</button>
      </form>
    </section>
  );
}
