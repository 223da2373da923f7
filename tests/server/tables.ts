import { db } from '@mindstudio-ai/agent';

export const Orders = db.defineTable<{ item: string; amount: number }>('orders', { unique: [['item']] });
