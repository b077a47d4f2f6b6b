/** The demo page: who are you, then the chat. Leaving it is a reload, so that nothing of one person stays for the next. */
import { startChat } from './chat.ts';
import { byId } from './element.ts';
import { loadSession, saveSession } from './session.ts';
import { showSignIn } from './sign-in.ts';

/** Why the last session ended, for the sign-in view after the reload. */
const NOTICE_KEY = 'wsfleet.notice';

byId('starting').remove();
const notice = sessionStorage.getItem(NOTICE_KEY);
sessionStorage.removeItem(NOTICE_KEY);

const session = loadSession() ?? (await showSignIn(notice ? JSON.parse(notice) : undefined));
saveSession(session);
startChat(session, (why) => {
  saveSession(undefined);
  if (why) sessionStorage.setItem(NOTICE_KEY, JSON.stringify({ message: why, byToken: !session.demo }));
  location.reload();
});
