/** What the person can do about the session, as commands: palette, menu, launcher and panel all call these. */
import { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { TranslationBundle } from '@jupyterlab/translation';

import { LabSession, ProfileOffers } from '../api';
import { get, hasEnded, send } from '../requests';
import { IDocument } from '../saving/model';
import { IPlace, homePage, spawnPage } from './addresses';
import { ProfileChoice } from './change';
import { sessionIcon } from './icon';
import { NotSaved, leave } from './leaving';
import { SessionModel } from './model';

/** Ids of the commands. */
export const CommandIDs = {
  open: 'aiinfn:session',
  stop: 'aiinfn:session-stop',
  change: 'aiinfn:session-change',
  extend: 'aiinfn:session-extend'
};

const NO_ARGUMENTS = { args: { type: 'object' as const, properties: {} } };

/** What the commands need. */
export interface ISurroundings {
  app: JupyterFrontEnd;
  model: SessionModel;
  trans: TranslationBundle;
  documents: () => Iterable<IDocument>;
  /** Show the panel. */
  open: () => void;
}

/** Where this server is at the hub, from what JupyterHub put into the page. */
export function place(): IPlace {
  const workspace = PageConfig.getUrl({
    mode: 'multiple-document',
    workspace: PageConfig.getOption('workspace') || PageConfig.defaultWorkspace
  });
  return {
    hub: PageConfig.getOption('hubHost') + PageConfig.getOption('hubPrefix'),
    user: PageConfig.getOption('hubUser'),
    server: PageConfig.getOption('hubServerName'),
    workspace: new URL(workspace, window.location.href).pathname
  };
}

/** Address of the platform's own page. */
export function platformPage(): string {
  const { hub } = place();
  return URLExt.join(hub.replace(/hub\/$/, ''), 'services/aiinfn/');
}

export function addCommands(on: ISurroundings): void {
  const { app, model, trans } = on;
  const here = () => model.underPlatform;
  const add = (id: string, label: string, caption: string, act: () => void) =>
    app.commands.addCommand(id, {
      label,
      caption,
      icon: id === CommandIDs.open ? sessionIcon : undefined,
      isEnabled: here,
      isVisible: here,
      describedBy: NO_ARGUMENTS,
      execute: act
    });
  add(
    CommandIDs.open,
    trans.__('Session'),
    trans.__('What this session is, what it uses and how long it stays'),
    on.open
  );
  add(
    CommandIDs.stop,
    trans.__('Stop This Session…'),
    trans.__('Save the documents and end this session'),
    () => stop(on)
  );
  add(
    CommandIDs.change,
    trans.__('Change Profile…'),
    trans.__('End this session and start another profile with the same tabs'),
    () => change(on)
  );
  add(
    CommandIDs.extend,
    trans.__('Extend This Session'),
    trans.__('Lengthen the longest life of this session, where it may be'),
    () => extend(on)
  );
  model.changed.connect(() => app.commands.notifyCommandChanged());
}

/** Ask the service for more time; its reason, when it refuses, is kept by the model. */
export async function extend({ app, model }: ISurroundings): Promise<void> {
  const settings = app.serviceManager.serverSettings;
  await model.ask(() =>
    send<LabSession>('POST', 'session/extend', {}, settings)
  );
}

/** Ask not to be ended for being idle before that; null takes it back. */
export async function keepUntil(
  { app, model }: ISurroundings,
  until: string | null
): Promise<void> {
  const settings = app.serviceManager.serverSettings;
  await model.ask(() =>
    send<LabSession>('PUT', 'session/keep-until', { until }, settings)
  );
}

async function stop(on: ISurroundings): Promise<void> {
  const { trans } = on;
  const { button } = await showDialog({
    title: trans.__('Stop this session?'),
    body: trans.__(
      'Documents are saved first. Variables in memory are lost, and running cells are interrupted. Devices go back.'
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Stop') })
    ]
  });
  if (button.accept) {
    await go(on, homePage(place()));
  }
}

async function change(on: ISurroundings): Promise<void> {
  const { app, model, trans } = on;
  const settings = app.serviceManager.serverSettings;
  let offers: ProfileOffers;
  try {
    offers = await get<ProfileOffers>('profiles', settings);
  } catch (error) {
    tell(on, error as Error);
    return;
  }
  const current = model.session?.description.profile ?? null;
  const { button, value } = await showDialog({
    title: trans.__('Change profile'),
    body: new ProfileChoice(offers.profiles, current, trans),
    focusNodeSelector: 'input:checked',
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Save, stop and go on') })
    ]
  });
  if (button.accept && value) {
    await go(on, spawnPage(place(), value));
  }
}

async function go(on: ISurroundings, address: string): Promise<void> {
  const { app, documents, trans } = on;
  const settings = app.serviceManager.serverSettings;
  const id = Notification.emit(
    trans.__('Saving the documents; then this session ends…'),
    'in-progress',
    { autoClose: false }
  );
  try {
    await leave(
      {
        documents,
        stop: () => send('POST', 'session/stop', {}, settings),
        hasEnded: () => hasEnded(settings),
        goTo: url => window.location.assign(url),
        pause: ms => new Promise(resolve => setTimeout(resolve, ms))
      },
      address
    );
  } catch (error) {
    tell(on, error as Error);
  }
  Notification.dismiss(id);
}

function tell({ trans }: ISurroundings, error: Error): void {
  const message =
    error instanceof NotSaved
      ? trans.__('Not saved, so nothing was stopped: %1', error.message)
      : error.message;
  Notification.error(message, { autoClose: false });
}
