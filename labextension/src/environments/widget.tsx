/** The panel that lists own and shared environments, makes new ones and shows the work on them. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React, { useState } from 'react';

import { NewEnvironment } from './form';
import {
  EnvironmentsModel,
  HOME,
  IEnvironment,
  IWork,
  packagesIn,
  size
} from './model';

/** What the panel needs from JupyterLab; each is a person's wish that goes beyond the model. */
export interface IActions {
  confirmRemoval(environment: IEnvironment): Promise<boolean>;
  save(name: string, text: string): void;
  openNotebook(environment: IEnvironment): void;
}

interface IProps {
  model: EnvironmentsModel;
  actions: IActions;
  trans: TranslationBundle;
}

/** The name of a state for people. */
export function stateName(state: string, trans: TranslationBundle): string {
  const names: Record<string, string> = {
    ready: trans.__('ready'),
    working: trans.__('being worked on'),
    unfinished: trans.__('unfinished'),
    'base-changed': trans.__('needs repair'),
    'other-image': trans.__('other image'),
    damaged: trans.__('damaged')
  };
  return names[state] ?? state;
}

function Facts(props: {
  environment: IEnvironment;
  trans: TranslationBundle;
}): JSX.Element {
  const { environment, trans } = props;
  const date = environment.created_at ? new Date(environment.created_at) : null;
  const sharing = {
    private: trans.__('nobody else'),
    read: trans.__('members may use it'),
    write: trans.__('members may use and change it')
  }[environment.sharing];
  const facts: [string, string][] = [
    [trans.__('Image'), environment.image_title ?? '?'],
    [
      trans.__('Where'),
      environment.place === HOME
        ? trans.__('My home')
        : trans.__('Project %1', environment.place)
    ],
    [trans.__('Size'), size(environment.bytes)],
    [
      trans.__('Packages'),
      environment.requested?.join(', ') || trans.__('none of its own')
    ],
    [
      trans.__('Created'),
      date && !Number.isNaN(date.valueOf()) ? date.toLocaleString() : '?'
    ]
  ];
  if (environment.place !== HOME) {
    facts.push([trans.__('By'), environment.created_by || '?']);
    facts.push([trans.__('Shared'), sharing]);
  }
  return (
    <dl>
      {facts.map(([term, text]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

function Install(props: {
  environment: IEnvironment;
  model: EnvironmentsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { environment, model, trans } = props;
  const [text, setText] = useState('');
  async function submit(event: React.FormEvent): Promise<void> {
    event.preventDefault();
    if (await model.install(environment, packagesIn(text))) {
      setText('');
    }
  }
  return (
    <form
      className="jp-aiinfn-environments-install"
      onSubmit={event => void submit(event)}
    >
      <input
        className="jp-mod-styled"
        required
        spellCheck={false}
        aria-label={trans.__('Packages to install into %1', environment.name)}
        placeholder={trans.__('packages')}
        value={text}
        onChange={event => setText(event.target.value)}
      />
      <button type="submit" className="jp-mod-styled">
        {trans.__('Install')}
      </button>
    </form>
  );
}

function Buttons(props: IProps & { environment: IEnvironment }): JSX.Element {
  const { environment, model, actions, trans } = props;
  const ready = environment.state === 'ready';
  const { own, place, used } = environment;
  async function remove(): Promise<void> {
    if (await actions.confirmRemoval(environment)) {
      await model.remove(environment);
    }
  }
  async function save(): Promise<void> {
    const text = await model.lock(environment);
    if (text !== null) {
      actions.save(`${environment.name}.lock.txt`, text);
    }
  }
  const change = (verb: string) => () => void model.change(environment, verb);
  const buttons: [boolean, string, () => void][] = [
    [
      ready && used,
      trans.__('New notebook'),
      () => actions.openNotebook(environment)
    ],
    [!used, trans.__('Use'), change('use')],
    [used, trans.__('Stop using'), change('stop-using')],
    [
      own && !ready && environment.state !== 'working',
      trans.__('Repair'),
      () => void model.repair(environment)
    ],
    [ready, trans.__('Export lock file'), () => void save()],
    [
      own && place !== HOME && environment.sharing === 'private',
      trans.__('Share'),
      change('share')
    ],
    [
      own && place !== HOME && environment.sharing !== 'private',
      trans.__('Stop sharing'),
      change('unshare')
    ],
    [
      own && environment.state !== 'working',
      trans.__('Remove'),
      () => void remove()
    ]
  ];
  return (
    <div className="jp-aiinfn-environments-buttons">
      {buttons
        .filter(([shown]) => shown)
        .map(([, text, act]) => (
          <button
            key={text}
            type="button"
            className="jp-mod-styled"
            aria-label={`${text}: ${environment.reference}`}
            onClick={act}
          >
            {text}
          </button>
        ))}
    </div>
  );
}

function Environment(
  props: IProps & { environment: IEnvironment }
): JSX.Element {
  const { environment, model, trans } = props;
  const writable = environment.own || environment.sharing === 'write';
  return (
    <li className="jp-aiinfn-environments-one">
      <h3>
        {environment.reference}{' '}
        <span className="jp-aiinfn-environments-state">
          {stateName(environment.state, trans)}
        </span>
      </h3>
      {environment.problem && <p>{environment.problem}</p>}
      {!environment.own && !environment.used && (
        <p>
          {trans.__(
            'Made by somebody else: once you use it, its code runs with your rights.'
          )}
        </p>
      )}
      <Facts environment={environment} trans={trans} />
      {environment.state === 'ready' && writable && (
        <Install environment={environment} model={model} trans={trans} />
      )}
      <Buttons {...props} />
    </li>
  );
}

function Work(props: {
  work: IWork;
  model: EnvironmentsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { work, model, trans } = props;
  const running = work.state === 'running';
  const failed = work.state === 'failed';
  return (
    <li className="jp-aiinfn-environments-one">
      <h3>{`${work.verb} ${work.reference}`}</h3>
      <p
        role="status"
        className={failed ? 'jp-aiinfn-environments-problem' : undefined}
      >
        {running ? work.step || trans.__('begins') : work.message}
      </p>
      {running && <progress aria-label={trans.__('Work under way')} />}
      {work.lines.length > 0 && (
        <details open={running || failed}>
          <summary>{trans.__('Log')}</summary>
          <pre tabIndex={0} aria-label={trans.__('Log of %1', work.reference)}>
            {work.lines.join('\n')}
          </pre>
        </details>
      )}
      <div className="jp-aiinfn-environments-buttons">
        <button
          type="button"
          className="jp-mod-styled"
          onClick={() =>
            running ? void model.cancel(work) : model.dismiss(work)
          }
        >
          {running ? trans.__('Stop') : trans.__('Dismiss')}
        </button>
      </div>
    </li>
  );
}

function Panel(props: IProps): JSX.Element {
  const { model, trans } = props;
  const { listing, problem, works } = model;
  return (
    <div className="jp-aiinfn-environments-body">
      <h2>{trans.__('Environments')}</h2>
      {problem && (
        <p role="alert" className="jp-aiinfn-environments-problem">
          {problem}
        </p>
      )}
      {listing === null ? (
        <p role="status">{trans.__('Asking the server…')}</p>
      ) : (
        <>
          {listing.environments.length === 0 && (
            <p>
              {trans.__(
                'An environment of your own builds on the image of this session: it sees all its packages and adds yours. It appears as a kernel, is kept in your home or in a project folder, and counts in its quota.'
              )}
            </p>
          )}
          {works.length > 0 && (
            <ul aria-label={trans.__('Work on environments')}>
              {works.map(work => (
                <Work key={work.id} work={work} model={model} trans={trans} />
              ))}
            </ul>
          )}
          {listing.environments.length > 0 && (
            <ul aria-label={trans.__('Environments')}>
              {listing.environments.map(environment => (
                <Environment
                  key={environment.reference}
                  {...props}
                  environment={environment}
                />
              ))}
            </ul>
          )}
          <NewEnvironment
            listing={listing}
            trans={trans}
            onCreate={wish => model.create(wish)}
          />
        </>
      )}
    </div>
  );
}

export class EnvironmentsPanel extends ReactWidget {
  constructor(
    model: EnvironmentsModel,
    actions: IActions,
    trans: TranslationBundle
  ) {
    super();
    this._props = { model, actions, trans };
    this.addClass('jp-aiinfn-environments');
    model.changed.connect(this._onChanged, this);
  }

  dispose(): void {
    this._props.model.changed.disconnect(this._onChanged, this);
    super.dispose();
  }

  protected render(): JSX.Element {
    return <Panel {...this._props} />;
  }

  private _onChanged(): void {
    this.update();
  }

  private _props: IProps;
}
