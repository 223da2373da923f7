// @ts-check
/** The version of remy: that of package.json, which is not beside a bundle of this. */
export const version = '0.1.0';
