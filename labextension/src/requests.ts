/** The only file that speaks HTTP: requests go to the user's own server, which answers or forwards them. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { ErrorBody } from './api';

/** Where the server is and how to reach it. */
export type Settings = ServerConnection.ISettings;

/**
 * The JSON that our server extension answers at `aiinfn/api/<path>`.
 *
 * Rejects with a sentence where the server cannot be reached, refuses, or does not have our extension.
 */
export async function get<T>(
  path: string,
  settings: Settings = ServerConnection.makeSettings()
): Promise<T> {
  const response = await request(path, {}, settings);
  return (await response.json()) as T;
}

/** Send JSON to `aiinfn/api/<path>`, which answers nothing; rejects as `get` does. */
export async function post(
  path: string,
  body: unknown,
  settings: Settings = ServerConnection.makeSettings()
): Promise<void> {
  await request(path, { method: 'POST', body: JSON.stringify(body) }, settings);
}

/** Send JSON to `aiinfn/api/<path>` and read the JSON that it answers (null where it answers nothing); rejects as `get` does. */
export async function send<T>(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: unknown = null,
  settings: Settings = ServerConnection.makeSettings()
): Promise<T> {
  const init = body === null ? {} : { body: JSON.stringify(body) };
  const response = await request(path, { method, ...init }, settings);
  return (response.status === 204 ? null : await response.json()) as T;
}

/** Whether the hub says that this server has ended: it then answers in its place. */
export async function hasEnded(
  settings: Settings = ServerConnection.makeSettings()
): Promise<boolean> {
  try {
    const url = address('session', settings);
    const { status } = await ServerConnection.makeRequest(url, {}, settings);
    return status === 424;
  } catch {
    return false;
  }
}

function address(path: string, settings: Settings): string {
  return URLExt.join(settings.baseUrl, 'aiinfn', 'api', path);
}

/** What went wrong, in words for a person: the sentence of the server where it gave one. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The sentence of an answer that refuses: in the platform's shape, or in Jupyter's; null where it has none. */
async function said(response: Response): Promise<string | null> {
  try {
    const body = (await response.json()) as Partial<ErrorBody> & {
      message?: unknown;
    };
    const message = body.error?.message ?? body.message;
    return typeof message === 'string' && message ? message : null;
  } catch {
    return null;
  }
}

async function request(
  path: string,
  init: RequestInit,
  settings: Settings
): Promise<Response> {
  const url = address(path, settings);
  const response = await ServerConnection.makeRequest(url, init, settings);
  if (!response.ok) {
    throw new ServerConnection.ResponseError(
      response,
      (await said(response)) ?? `${url} answered ${response.status}`
    );
  }
  return response;
}
