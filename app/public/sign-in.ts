/** The first view: a name, or a token where the server gives none. */
import { byId } from './element.ts';
import { type Session, type SignInProblem, signInByName, signInByToken } from './session.ts';

const view = byId('sign-in');
const nameForm = byId<HTMLFormElement>('name-form');
const nameInput = byId<HTMLInputElement>('name');
const nameError = byId('name-error');
const tokenForm = byId<HTMLFormElement>('token-form');
const tokenInput = byId<HTMLTextAreaElement>('token');
const tokenError = byId('token-error');
const tokenWhy = byId('token-why');
const switcher = byId<HTMLButtonElement>('sign-in-switch');

let byToken = false;
let signedIn: (session: Session) => void = () => {};

/** Shows the view until someone has signed in. `why` tells a person who was here before what happened. */
export function showSignIn(why?: { message: string; byToken: boolean }): Promise<Session> {
  byToken = why?.byToken ?? byToken;
  view.hidden = false;
  showForm(byToken && why ? why.message : undefined);
  nameError.textContent = why && !why.byToken ? why.message : '';
  return new Promise((resolve) => {
    signedIn = (session) => {
      view.hidden = true;
      nameError.textContent = '';
      tokenError.textContent = '';
      tokenInput.value = '';
      resolve(session);
    };
  });
}

function showForm(why = 'A token says who you are and which rooms you may join.'): void {
  nameForm.hidden = byToken;
  tokenForm.hidden = !byToken;
  tokenWhy.textContent = why;
  switcher.textContent = byToken ? 'Use a name instead' : 'Use a token instead';
  (byToken ? tokenInput : nameInput).focus();
}

function showProblem(problem: SignInProblem): void {
  if (problem.kind === 'no-demo') {
    byToken = true;
    showForm(problem.message);
    return;
  }
  const [input, error] = problem.kind === 'token' ? [tokenInput, tokenError] : [nameInput, nameError];
  error.textContent = problem.message;
  input.ariaInvalid = String(problem.kind === 'name' || problem.kind === 'token');
  input.focus();
}

async function submit(form: HTMLFormElement, signIn: () => Session | SignInProblem | Promise<Session | SignInProblem>) {
  const button = form.querySelector('button');
  if (!button || button.disabled) return;
  button.disabled = true;
  const outcome = await signIn();
  button.disabled = false;
  if ('token' in outcome) signedIn(outcome);
  else showProblem(outcome);
}

nameForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void submit(nameForm, () => signInByName(nameInput.value));
});
tokenForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void submit(tokenForm, () => signInByToken(tokenInput.value));
});
switcher.addEventListener('click', () => {
  byToken = !byToken;
  showForm();
});
for (const [input, error] of [
  [nameInput, nameError],
  [tokenInput, tokenError],
] as const) {
  input.addEventListener('input', () => {
    error.textContent = '';
    input.ariaInvalid = 'false';
  });
}
