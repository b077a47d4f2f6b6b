/** The rooms of this tab, so that a reload finds them again. */
export interface SavedRooms {
  rooms: string[];
  /** The conversation that was shown; a room, `@all`, or one that a reload forgets. */
  current: string;
}

const KEY = 'wsfleet.rooms';

export function loadRooms(): SavedRooms {
  try {
    const { rooms, current } = JSON.parse(sessionStorage.getItem(KEY) ?? '');
    return { rooms, current };
  } catch {
    return { rooms: ['lobby'], current: 'lobby' };
  }
}

/** Undefined forgets them. */
export function saveRooms(rooms: SavedRooms | undefined): void {
  if (rooms) sessionStorage.setItem(KEY, JSON.stringify(rooms));
  else sessionStorage.removeItem(KEY);
}
