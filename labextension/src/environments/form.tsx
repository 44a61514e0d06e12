/** The form for a new environment. */
import { TranslationBundle } from '@jupyterlab/translation';
import React, { useState } from 'react';

import { HOME, IListing, IWish, packagesIn } from './model';

export interface IFormProps {
  listing: IListing;
  trans: TranslationBundle;
  /** Whether the wish was accepted. */
  onCreate: (wish: IWish) => Promise<boolean>;
}

const NAME = '[a-z0-9][a-z0-9\\-]{0,40}';

export function NewEnvironment(props: IFormProps): JSX.Element {
  const { listing, trans } = props;
  const [name, setName] = useState('');
  const [place, setPlace] = useState(HOME);
  const [packages, setPackages] = useState('');
  const [sent, setSent] = useState(false);

  async function submit(event: React.FormEvent): Promise<void> {
    event.preventDefault();
    setSent(true);
    if (await props.onCreate({ name, place, packages: packagesIn(packages) })) {
      setName('');
      setPackages('');
    }
    setSent(false);
  }

  if (!listing.base) {
    return (
      <p>
        {trans.__(
          'This session has no image to lay an environment on. Start a session with a profile of the platform.'
        )}
      </p>
    );
  }
  return (
    <form
      aria-labelledby="jp-aiinfn-environments-new"
      className="jp-aiinfn-environments-form"
      onSubmit={event => void submit(event)}
    >
      <h3 id="jp-aiinfn-environments-new">{trans.__('New environment')}</h3>
      <label htmlFor="jp-aiinfn-environments-name">{trans.__('Name')}</label>
      <input
        id="jp-aiinfn-environments-name"
        className="jp-mod-styled"
        name="name"
        required
        pattern={NAME}
        maxLength={41}
        autoComplete="off"
        aria-describedby="jp-aiinfn-environments-name-help"
        value={name}
        onChange={event => setName(event.target.value)}
      />
      <small id="jp-aiinfn-environments-name-help">
        {trans.__('Letters a-z, digits and hyphens.')}
      </small>
      <p>
        {trans.__('Lies on the image %1.', listing.base.title)}{' '}
        {trans.__(
          'It is the image of this session, and no other can be seen from here; for another one, start a session with its profile.'
        )}
      </p>
      <label htmlFor="jp-aiinfn-environments-place">{trans.__('Where')}</label>
      <select
        id="jp-aiinfn-environments-place"
        className="jp-mod-styled"
        name="place"
        value={place}
        onChange={event => setPlace(event.target.value)}
      >
        {listing.places.map(one => (
          <option key={one.id} value={one.id} disabled={!one.writable}>
            {one.id === HOME
              ? trans.__('My home')
              : trans.__('Project folder: %1', one.id)}
          </option>
        ))}
      </select>
      <label htmlFor="jp-aiinfn-environments-packages">
        {trans.__('Packages')}
      </label>
      <textarea
        id="jp-aiinfn-environments-packages"
        className="jp-mod-styled"
        name="packages"
        rows={4}
        spellCheck={false}
        aria-describedby="jp-aiinfn-environments-packages-help"
        value={packages}
        onChange={event => setPackages(event.target.value)}
      />
      <small id="jp-aiinfn-environments-packages-help">
        {trans.__('One a line, with versions if you like, such as uproot>=5.')}
      </small>
      <button
        type="submit"
        className="jp-mod-styled jp-mod-accept"
        disabled={sent}
      >
        {trans.__('Create')}
      </button>
    </form>
  );
}
