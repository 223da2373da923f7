import { Notes } from './tables/notes';

export async function listNotes() {
  return Notes.sortBy((note) => note.created_at).reverse().take(100);
}
