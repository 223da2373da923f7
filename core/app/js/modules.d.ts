// For editors and type checkers of methods: `"types": ["remy-db/modules"]` in a tsconfig.json makes the name known that they import,
// wherever remy-db is installed.

declare module '@mindstudio-ai/agent' {
  export * from 'remy-db/agent';
  export { default } from 'remy-db/agent';
}
