// Who calls.

import { MindStudioError } from './error.mjs';

/** @typedef {{ userId: string | null, roleAssignments: { userId: string, roleName: string }[] }} Auth */

/** @param {Auth} caller */
export function makeAuth({ userId, roleAssignments }) {
  const roles = roleAssignments.filter((of) => of.userId === userId).map((of) => of.roleName);
  const hasRole = (/** @type {string[]} */ ...names) =>
    names.flat().some((name) => roles.includes(name));
  return {
    userId,
    roles,
    hasRole,
    requireRole(/** @type {string[]} */ ...names) {
      if (userId === null) throw new MindStudioError('unauthenticated', 401, 'Nobody is logged in');
      if (names.flat().length > 0 && !hasRole(...names))
        throw new MindStudioError(
          'forbidden',
          403,
          `This needs the role ${names.flat().join(' or ')}`,
        );
    },
    getUsersByRole: (/** @type {string} */ role) =>
      roleAssignments.filter((of) => of.roleName === role).map((of) => of.userId),
  };
}
