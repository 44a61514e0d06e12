/** The person's settings of the session plugin, with the defaults of `schema/session.json`. */
import { ISettingRegistry } from '@jupyterlab/settingregistry';

export class SessionSettings {
  constructor(private _settings: ISettingRegistry.ISettings | null) {}

  /** Load them; without a registry the defaults hold. */
  static async load(
    registry: ISettingRegistry | null,
    id: string
  ): Promise<SessionSettings> {
    return new SessionSettings(registry && (await registry.load(id)));
  }

  /** Call now and whenever they change. */
  follow(apply: () => void): void {
    this._settings?.changed.connect(apply);
    apply();
  }

  /** Whether the status bar shows the session. */
  get show(): boolean {
    return this._get('show', true);
  }

  /** Whether figures are measured while the panel is open. */
  get live(): boolean {
    return this._get('live', true);
  }

  /** Whether a warning makes a sound. */
  get sound(): boolean {
    return this._get('sound', false);
  }

  /** Which side the panel is on. */
  get side(): 'left' | 'right' {
    return this._get('side', 'right');
  }

  /** Announcements that were shown. */
  get seen(): number[] {
    return this._get('seen', []);
  }

  /** Remember them; a home that cannot be written only means that they are shown again. */
  remember(ids: number[]): void {
    this._settings
      ?.set('seen', ids)
      .catch(error => console.warn('aiinfn: settings are not saved', error));
  }

  private _get<T>(key: string, otherwise: T): T {
    return (this._settings?.get(key).composite as T | undefined) ?? otherwise;
  }
}
