import { db } from '@mindstudio-ai/agent';

export const Notes = db.defineTable<{ text: string }>('notes');
