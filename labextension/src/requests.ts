/** The only file that speaks HTTP: requests go to the user's own server, which answers or forwards them. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** Where the server is and how to reach it. */
export type Settings = ServerConnection.ISettings;

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

/** Send JSON to `aiinfn/api/<path>`, which answers with JSON; rejects as `get` does. */
export async function ask<T>(
  path: string,
  body: unknown,
  settings: ServerConnection.ISettings = ServerConnection.makeSettings()
): Promise<T> {
  const init = { method: 'POST', body: JSON.stringify(body) };
  const response = await request(path, init, settings);
  return (await response.json()) as T;
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
      `${url} answered ${response.status}`
    );
  }
  return response;
}
