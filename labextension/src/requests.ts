/** The only file that speaks HTTP: requests go to the user's own server, which answers or forwards them. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/**
 * The JSON that our server extension answers at `aiinfn/api/<path>`.
 *
 * Rejects with a sentence where the server cannot be reached, refuses, or does not have our extension.
 */
export async function get<T>(
  path: string,
  settings: ServerConnection.ISettings = ServerConnection.makeSettings()
): Promise<T> {
  const response = await request(path, {}, settings);
  return (await response.json()) as T;
}

/** Send JSON to `aiinfn/api/<path>`, which answers nothing; rejects as `get` does. */
export async function post(
  path: string,
  body: unknown,
  settings: ServerConnection.ISettings = ServerConnection.makeSettings()
): Promise<void> {
  await request(path, { method: 'POST', body: JSON.stringify(body) }, settings);
}

/**
 * Send a request with any method to `aiinfn/api/<path>`; the JSON that is answered, null where nothing is.
 *
 * Rejects as `get` does, with the sentence of our server extension where it gives one.
 */
export async function send<T>(
  method: 'POST' | 'DELETE',
  path: string,
  body: unknown = null,
  settings: ServerConnection.ISettings = ServerConnection.makeSettings()
): Promise<T | null> {
  const init = body === null ? {} : { body: JSON.stringify(body) };
  const response = await request(path, { method, ...init }, settings);
  return response.status === 204 ? null : ((await response.json()) as T);
}

/** What went wrong, in words for a person: the sentence of the server where it gave one. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function said(response: Response): Promise<string | null> {
  try {
    const body = (await response.json()) as { message?: unknown };
    return typeof body.message === 'string' ? body.message : null;
  } catch {
    return null;
  }
}

async function request(
  path: string,
  init: RequestInit,
  settings: ServerConnection.ISettings
): Promise<Response> {
  const url = URLExt.join(settings.baseUrl, 'aiinfn', 'api', path);
  const response = await ServerConnection.makeRequest(url, init, settings);
  if (!response.ok) {
    throw new ServerConnection.ResponseError(
      response,
      (await said(response)) ?? `${url} answered ${response.status}`
    );
  }
  return response;
}
