// Types of `@mindstudio-ai/interface/voice`, as far as remy has it: nothing of it is served yet.

/** How a voice session stands. */
export type VoiceState = 'connecting' | 'listening' | 'thinking' | 'speaking' | 'ended';

export interface VoiceSession {
  on(event: 'stateChange', listener: (state: VoiceState) => void): void;
  on(event: string, listener: (event: any) => void): void;
  mute(): void;
  unmute(): void;
  sendText(text: string): Promise<void>;
  registerClientTool(name: string, handler: (input: any) => unknown): () => void;
  refreshIdentity(): Promise<void>;
  end(): Promise<void>;
}

export interface VoiceClient {
  startSession(options?: Record<string, unknown>): Promise<VoiceSession>;
  listSessions(cursor?: string): Promise<{ sessions: { id: string }[]; nextCursor?: string }>;
  getSession(id: string): Promise<Record<string, unknown>>;
}

/** A client for spoken conversations with the app's agent. */
export function createVoiceClient(): VoiceClient;
