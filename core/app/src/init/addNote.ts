import { Notes } from './tables/notes';

export async function addNote(input: { text: string }) {
  return Notes.push({ text: input.text });
}
