/** The hub's pages to which a session leads; links that prefill and never start anything. */

/** Where this server is at the hub. */
export interface IPlace {
  /** `/hub/`, with the address of the hub before it where it is another. */
  hub: string;
  user: string;
  /** Empty for the default server. */
  server: string;
  /** Path of the workspace that is open, to come back to. */
  workspace: string;
}

/** The page that says why the last session ended. */
export function homePage(place: IPlace): string {
  return `${place.hub}home`;
}

/** The page on which the person starts another profile; after it the same workspace opens again. */
export function spawnPage(place: IPlace, profile: string): string {
  const parts = [place.user, place.server].filter(part => part);
  const query = new URLSearchParams({
    'opt-profile': profile,
    next: place.workspace
  });
  const path = parts.map(encodeURIComponent).join('/');
  return `${place.hub}spawn/${path}?${query}`;
}
