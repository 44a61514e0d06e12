/** The dialog in which another profile is chosen. */
import { Dialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { ProfileOffer } from '../api';

export class ProfileChoice
  extends ReactWidget
  implements Dialog.IBodyWidget<string>
{
  /** `current` is the profile of this session, which need not be chosen again. */
  constructor(
    offers: readonly ProfileOffer[],
    current: string | null,
    trans: TranslationBundle
  ) {
    super();
    this._offers = offers;
    this._trans = trans;
    this._current = current;
    const others = offers.filter(one => one.available && one.key !== current);
    this._chosen = others[0]?.key ?? '';
    this.addClass('jp-aiinfn-change');
  }

  /** Key of the chosen profile; empty when none can be had. */
  getValue(): string {
    return this._chosen;
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    return (
      <>
        <p>
          {trans.__(
            'Documents are saved, this session ends, and its devices are free for others. Variables in memory are lost. On the next page you press Start; the same tabs then open again, with the kernels of the new profile.'
          )}
        </p>
        <fieldset>
          <legend>{trans.__('Profile')}</legend>
          {this._offers.map(one => this._line(one))}
        </fieldset>
      </>
    );
  }

  private _line(offer: ProfileOffer): JSX.Element {
    const id = `jp-aiinfn-change-${offer.key}`;
    const facts = [...offer.sizes.slice(0, 1), ...offer.accelerators];
    const about = offer.available ? facts.join(' · ') : offer.reason;
    return (
      <div key={offer.key} className="jp-aiinfn-change-line">
        <input
          type="radio"
          name="jp-aiinfn-profile"
          id={id}
          value={offer.key}
          checked={this._chosen === offer.key}
          disabled={!offer.available}
          aria-describedby={`${id}-about`}
          onChange={() => {
            this._chosen = offer.key;
            this.update();
          }}
        />
        <label htmlFor={id}>
          {offer.name}
          {offer.key === this._current && ` ${this._trans.__('(this one)')}`}
        </label>
        <div id={`${id}-about`} className="jp-aiinfn-meter-note">
          {about}
        </div>
      </div>
    );
  }

  private _offers: readonly ProfileOffer[];
  private _trans: TranslationBundle;
  private _current: string | null;
  private _chosen: string;
}
