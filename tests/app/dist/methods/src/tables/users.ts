import { db } from '@mindstudio-ai/agent';

/** Who may sign in. The email and the API key are set by signing in, and by nothing else. */
export interface Person {
  name: string;
  email: string;
  apiKey?: string;
  roles: string[];
}

export const Users = db.defineTable<Person>('users', { unique: [['email']] });
