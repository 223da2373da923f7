// The same for web projects: `"types": ["remy-db/modules/interface"]`. A build of remy needs it not: the modules are among the packages then.

declare module '@mindstudio-ai/interface' {
  export * from 'remy-db/interface';
}

declare module '@mindstudio-ai/interface/voice' {
  export * from 'remy-db/interface/voice';
}
