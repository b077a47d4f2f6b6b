/** Keys that work everywhere on the page; single characters only where nobody types. */
import { byId } from './element.ts';

export function listenForShortcuts(handlers: { next(step: 1 | -1): void; join(): void; compose(): void }): void {
  const dialog = byId<HTMLDialogElement>('shortcuts');
  byId('show-shortcuts').addEventListener('click', () => dialog.showModal());

  document.addEventListener('keydown', (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || dialog.open) return;
    const run = actionOf(event);
    if (!run) return;
    event.preventDefault();
    run();
  });

  function actionOf(event: KeyboardEvent): (() => void) | undefined {
    if (event.altKey) {
      if (event.key === 'ArrowUp') return () => handlers.next(-1);
      if (event.key === 'ArrowDown') return () => handlers.next(1);
      return event.code === 'KeyJ' ? handlers.join : undefined;
    }
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return undefined;
    if (event.key === '/') return handlers.compose;
    if (event.key === '?') return () => dialog.showModal();
    return undefined;
  }
}
