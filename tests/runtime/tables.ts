import { db } from '@mindstudio-ai/agent';
import type { User } from '@mindstudio-ai/agent';

export const Items = db.defineTable<{ a?: string; b?: string; n?: number; f?: boolean; j?: unknown; u?: User }>('items');
export const Notes = db.defineTable<{ slug: string; text: string; stars: number }>('notes', {
  unique: [['slug']],
  defaults: { stars: 3 },
});
export const People = db.defineTable<{ email: string; name: string; roles: string[] }>('people');
