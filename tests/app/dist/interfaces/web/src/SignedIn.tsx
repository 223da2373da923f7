import { auth } from '@mindstudio-ai/interface';
import { useEffect, useState, type FormEvent, type ReactNode } from 'react';

/** What is for those who have signed in; others are asked for their email address, and the code that is sent there. */
export function SignedIn({ children }: { children: ReactNode }) {
  const [user, setUser] = useState(auth.currentUser);
  useEffect(() => auth.onAuthStateChanged(setUser), []);
  if (!user) return <SignIn />;
  return (
    <>
      <nav>
        {user.email} <button onClick={() => void auth.logout()}>Sign out</button>
      </nav>
      {children}
    </>
  );
}

function SignIn() {
  const [verificationId, setVerificationId] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const field = (name: string) => String(new FormData(event.currentTarget).get(name));
    try {
      if (verificationId) await auth.verifyEmailCode(verificationId, field('code'));
      else setVerificationId((await auth.sendEmailCode(field('email'))).verificationId);
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  }

  return (
    <main>
      <h1>Procure-to-Pay</h1>
      {problem && <p role="alert">{problem}</p>}
      <form onSubmit={(event) => void submit(event)}>
        {verificationId ? (
          <input key="code" name="code" aria-label="Code" placeholder="Code" required />
        ) : (
          <input key="email" name="email" aria-label="Email" placeholder="Email" type="email" required />
        )}
        <button>{verificationId ? 'Sign in' : 'Send a code'}</button>
      </form>
    </main>
  );
}
