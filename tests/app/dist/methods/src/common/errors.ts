import { MindStudioError } from '@mindstudio-ai/agent';

/** What was asked for does not make sense. */
export const invalid = (message: string) => new MindStudioError(message, 'invalid_input', 400);

/** What was asked for is not there. */
export const notFound = (what: string) => new MindStudioError(`There is no ${what}.`, 'not_found', 404);

/** What was asked for does not fit how things are. */
export const conflict = (message: string) => new MindStudioError(message, 'conflict', 409);
