import { auth, MindStudioError } from '@mindstudio-ai/agent';

/** Who calls. Some of what this app does needs a user, but no role. */
export function signedIn() {
  if (!auth.userId) throw new MindStudioError('Please sign in first.', 'unauthenticated', 401);
  return auth.userId;
}
