// Types of `@mindstudio-ai/interface`, as remy has it. What is marked so is not served yet and rejects with `not_supported`.

/** Why a call failed. */
export class MindStudioInterfaceError extends Error {
  constructor(message: string, code: string, status?: number);
  /** Stable: what programs should look at. */
  readonly code: string;
  /** The answer's HTTP status, where there was one. */
  readonly status?: number;
}

export interface InvokeOptions {
  signal?: AbortSignal;
  /** Ask for the answer as it is made. */
  stream?: boolean;
  /** Given the text so far, each time that there is more. */
  onToken?: (text: string) => void;
  onStreamError?: (error: string) => void;
}

type AnyMethods = Record<string, (input?: any, options?: InvokeOptions) => Promise<any>>;

/** Methods that are called with options besides. */
type WithOptions<Methods> = {
  [M in keyof Methods]: Methods[M] extends (...args: infer Input) => infer Output
    ? (
        ...args: Input extends []
          ? [input?: Record<string, never>, options?: InvokeOptions]
          : [...input: Input, options?: InvokeOptions]
      ) => Output
    : Methods[M];
};

/**
 * A client whose methods are the app's, by the names of their exports.
 *
 *     const api = createClient<{ approveVendor(input: { vendorId: string }): Promise<{ vendor: Vendor }> }>();
 */
export function createClient<Methods = AnyMethods>(): Methods & WithOptions<Methods>;

/** What a page is served with, as `window.__MINDSTUDIO__`. */
export interface BootstrapConfig {
  token: string;
  releaseId: string;
  /** The methods' ids, by the names of their exports. */
  methods: Record<string, string>;
  user: AppUser | null;
  visitorId?: string;
  appId?: string;
  apiBaseUrl?: string;
  telemetry?: { errors?: boolean; analytics?: boolean };
}

export interface AppUser {
  id: string;
  name?: string | null;
  email: string | null;
  phone: string | null;
  roles: string[];
  /** As it may be shown: masked. */
  apiKey: string | null;
  provider?: 'remy' | null;
  profilePictureUrl?: string | null;
  /** ISO 8601. */
  createdAt: string;
}

export interface UploadOptions {
  /** Given the part that is sent, from 0 to 1. */
  onProgress?: (fraction: number) => void;
  signal?: AbortSignal;
}

/** Where a file goes that a store takes: made by a method. */
export interface UploadToken {
  key: string;
  url: string;
  upload: { url: string; fields: Record<string, string> };
}

export const platform: {
  /** The path that the app's pages are below, without a slash at its end. */
  readonly basePath: string;
  /** Uploads a file that everybody may read, and gives its URL. */
  uploadFile(file: File, options?: UploadOptions): Promise<string>;
  /** Uploads a file to where a method lets it go: `createUploadToken` of a store. */
  upload(
    token: UploadToken,
    file: File,
    options?: UploadOptions,
  ): Promise<{ key: string; url: string }>;
  /** Not served yet. */
  requestFile(options?: { type?: string }): Promise<{ url: string }>;
};

/** What happens on the page. Nobody counts it yet. */
export const analytics: {
  track(event: string, properties?: Record<string, unknown>): void;
};

/** A message from the app's methods, or from another page. */
export interface AppEvent {
  /** One publish has one id, on each of its channels. */
  id: string;
  channel: string;
  data: any;
  /** Unix milliseconds. */
  ts: number;
}

export interface EventsSubscription {
  readonly state: 'connecting' | 'open' | 'closed';
  close(): void;
  /** To channels that the grant publishes to. At most once. */
  publish(channels: string | string[], data: unknown): void;
}

/** Messages from the app's methods, to pages that are open. At most once. */
export const events: {
  connect(options: {
    /** A grant's token, of a method that calls `events.grant`. Where it throws, the subscription ends. */
    getToken: () => string | Promise<string>;
    onEvent: (event: AppEvent) => void;
    /** Each time that it listens: what came before is to be fetched. */
    onConnect?: () => void;
    /** So many were not heard. */
    onGap?: (count: number) => void;
    onError?: (error: Error) => void;
  }): EventsSubscription;
};

export type AuthStatus = 'authenticating' | 'authenticated' | 'unauthenticated';

export interface Country {
  /** ISO 3166: `US`. */
  code: string;
  name: string;
  /** `+1`. */
  dialCode: string;
  flag: string;
}

/** Who is signed in on this page. Signing in with Remy is not served yet. */
export const auth: Auth;

export interface Auth {
  readonly currentUser: AppUser | null;
  readonly userId: string | null;
  readonly name: string | null;
  readonly authStatus: AuthStatus;
  readonly currentVisitorId: string | null;
  getCurrentUser(): AppUser | null;
  getCurrentVisitorId(): string | null;
  isAuthenticated(): boolean;
  /** Calls back with who is signed in, at once and whenever that changes. Returns what ends it. */
  onAuthStateChanged(callback: (user: AppUser | null) => void): () => void;
  handleRemyRedirect(): Promise<AppUser | null>;

  sendEmailCode(email: string): Promise<{ verificationId: string }>;
  verifyEmailCode(verificationId: string, code: string): Promise<AppUser>;
  sendSmsCode(phone: string): Promise<{ verificationId: string }>;
  verifySmsCode(verificationId: string, code: string): Promise<AppUser>;
  signInWithRemy(options?: {
    redirectUri?: string;
    state?: string;
    mode?: 'auto' | 'popup' | 'redirect';
  }): Promise<AppUser | null>;
  requestEmailChange(email: string): Promise<void>;
  confirmEmailChange(email: string, code: string): Promise<AppUser>;
  requestPhoneChange(phone: string): Promise<void>;
  confirmPhoneChange(phone: string, code: string): Promise<AppUser>;
  createApiKey(): Promise<{ key: string; apiKey: string }>;
  revokeApiKey(): Promise<void>;
  logout(): Promise<void>;

  readonly email: { isValid(email: string): boolean };
  readonly phone: {
    readonly countries: Country[];
    /** The country of the browser's language: its code. */
    detectCountry(): string;
    /** `+15551234567`. A number without a `+` is of the country. */
    toE164(phone: string, country?: string): string;
    /** `+1 (555) 123-4567`. */
    format(phone: string): string;
    isValid(phone: string): boolean;
  };
}

export interface ThreadSummary {
  id: string;
  title: string | null;
  /** ISO 8601. */
  dateCreated: string;
  dateUpdated: string;
}

export interface ThreadListPage {
  threads: ThreadSummary[];
  /** For the next page; `null` at the end. */
  nextCursor: string | null;
}

export interface Message {
  role: 'user' | 'assistant' | 'tool' | 'system';
  content: string;
  attachments?: string[];
  toolCalls?: { id: string; name: string; input: any }[];
  toolCallId?: string;
  isToolError?: boolean;
}

export interface Thread extends ThreadSummary {
  messages: Message[];
}

/** What happens while an agent answers. */
export type AgentChatEvent = { ts?: number } & (
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string }
  | { type: 'thinking_complete'; thinking: string; signature: string }
  | { type: 'tool_use'; id: string; name: string; input: any }
  | { type: 'tool_input_delta'; id?: string; delta?: string }
  | { type: 'tool_call_start'; id: string; name: string }
  | { type: 'tool_call_result'; id: string; output: any }
  | { type: 'client_tool_call'; id: string; name: string; input: any; timeoutMs?: number }
  | { type: 'error'; error: string }
  | ({ type: 'done' } & SendMessageResult)
);

export interface SendMessageResult {
  stopReason: string;
  usage: { inputTokens: number; outputTokens: number };
}

export interface SendMessageOptions {
  attachments?: string[];
}

export interface SendMessageCallbacks {
  onText?: (delta: string) => void;
  onThinking?: (delta: string) => void;
  onThinkingComplete?: (thinking: string, signature: string) => void;
  onToolCallStart?: (id: string, name: string) => void;
  onToolCallResult?: (id: string, output: unknown) => void;
  onClientToolCall?: (id: string, name: string, input: any) => unknown;
  onError?: (error: string) => void;
  onEvent?: (event: AgentChatEvent) => void;
  signal?: AbortSignal;
}

/** A promise that can be called off. */
export type AbortablePromise<T> = Promise<T> & { abort(): void };

export interface AgentChatClient {
  createThread(): Promise<Thread>;
  listThreads(cursor?: string): Promise<ThreadListPage>;
  getThread(id: string): Promise<Thread>;
  updateThread(id: string, title: string): Promise<void>;
  deleteThread(id: string): Promise<void>;
  claimThread(id: string): Promise<void>;
  sendMessage(
    threadId: string,
    content: string,
    callbacks?: SendMessageCallbacks,
    options?: SendMessageOptions,
  ): AbortablePromise<SendMessageResult>;
  registerClientTool(name: string, handler: (input: any) => unknown): () => void;
}

/** A client for conversations with the app's agent. Not served yet. */
export function createAgentChatClient(): AgentChatClient;
