// Types of `@mindstudio-ai/interface`, as remy has it. What is marked so is not served yet and rejects with `not_supported`.

/** Why a call failed. */
export class MindStudioInterfaceError extends Error {
  constructor(message: string, code: string, status?: number);
  /** Stable: what programs should look at. */
  readonly code: string;
  /** The answer's HTTP status, where there was one. */
  readonly status?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
}

type AnyMethods = Record<string, (input?: any, options?: CallOptions) => Promise<any>>;

/**
 * A client whose methods are the app's, by the names of their exports.
 *
 *     const api = createClient<{ approveVendor(input: { vendorId: string }): Promise<{ vendor: Vendor }> }>();
 */
export function createClient<Methods = AnyMethods>(): Methods;

export interface AppUser {
  id: string;
  name?: string | null;
  email?: string | null;
  phone?: string | null;
  roles?: string[];
  apiKey?: string | null;
  profilePictureUrl?: string | null;
  createdAt?: number | string;
}

export interface UploadOptions {
  /** Given the part that is sent, from 0 to 1. */
  onProgress?: (fraction: number) => void;
  signal?: AbortSignal;
}

/** Files. Not served yet. */
export const platform: {
  uploadFile(file: File, options?: UploadOptions): Promise<string>;
  upload(token: unknown, file: File, options?: UploadOptions): Promise<{ key: string; url: string }>;
  requestFile(options?: { type?: string }): Promise<{ url: string }>;
};

/** Who is signed in on this page. Signing in and out is not served yet. */
export const auth: {
  readonly currentUser: AppUser | null;
  readonly userId: string | null;
  readonly name: string | null;
  readonly authStatus: 'authenticating' | 'authenticated' | 'unauthenticated';
  readonly currentVisitorId: string | null;
  getCurrentUser(): AppUser | null;
  getCurrentVisitorId(): string | null;
  isAuthenticated(): boolean;
  /** Calls back with who is signed in, at once. Gives what ends it. */
  onAuthStateChanged(callback: (user: AppUser | null) => void): () => void;
  handleRemyRedirect(): Promise<AppUser | null>;

  sendEmailCode(email: string): Promise<{ verificationId: string }>;
  verifyEmailCode(verificationId: string, code: string): Promise<AppUser>;
  sendSmsCode(phone: string): Promise<{ verificationId: string }>;
  verifySmsCode(verificationId: string, code: string): Promise<AppUser>;
  signInWithRemy(options?: { redirectUri?: string; state?: string; mode?: 'auto' | 'popup' | 'redirect' }): Promise<AppUser | null>;
  requestEmailChange(email: string): Promise<void>;
  confirmEmailChange(email: string, code: string): Promise<AppUser>;
  requestPhoneChange(phone: string): Promise<void>;
  confirmPhoneChange(phone: string, code: string): Promise<AppUser>;
  createApiKey(): Promise<{ key: string }>;
  revokeApiKey(): Promise<void>;
  logout(): Promise<void>;

  readonly email: { isValid(email: string): boolean };
  readonly phone: { isValid(phone: string): boolean };
};

export interface Thread {
  id: string;
  title?: string | null;
  messages?: any[];
}

export interface SendMessageCallbacks {
  onText?: (delta: string) => void;
  onThinking?: (delta: string) => void;
  onThinkingComplete?: (thinking: string, signature: string) => void;
  onToolCallStart?: (id: string, name: string) => void;
  onToolCallResult?: (id: string, output: unknown) => void;
  onClientToolCall?: (id: string, name: string, input: any) => unknown;
  onError?: (error: string) => void;
  onEvent?: (event: { type: string; [field: string]: unknown }) => void;
  signal?: AbortSignal;
}

/** A promise that can be called off. */
export type AbortablePromise<T> = Promise<T> & { abort(): void };

export interface AgentChatClient {
  createThread(): Promise<Thread>;
  listThreads(cursor?: string): Promise<{ threads: Thread[]; nextCursor?: string }>;
  getThread(id: string): Promise<Thread>;
  updateThread(id: string, title: string): Promise<void>;
  deleteThread(id: string): Promise<void>;
  claimThread(id: string): Promise<void>;
  sendMessage(
    threadId: string,
    content: string,
    callbacks?: SendMessageCallbacks,
    options?: { attachments?: string[] },
  ): AbortablePromise<{ stopReason: string; usage: { inputTokens: number; outputTokens: number } }>;
  registerClientTool(name: string, handler: (input: any) => unknown): () => void;
}

/** A client for conversations with the app's agent. Not served yet. */
export function createAgentChatClient(): AgentChatClient;
