import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';

import { post } from '../requests';
import { IDocument, ISessionEvent, isStopping, saveAll } from './model';

const ID = 'jupyterhub-aiinfn:saving';

/** The documents that are open in the main area. */
export function open(
  app: JupyterFrontEnd,
  manager: IDocumentManager
): IDocument[] {
  return [...app.shell.widgets('main')]
    .map(widget => manager.contextForWidget(widget))
    .filter(context => context !== undefined) as IDocument[];
}

function tell(failed: string[], trans: TranslationBundle): void {
  if (failed.length) {
    Notification.error(
      trans.__('This session ends, and not saved are: %1', failed.join(', ')),
      { autoClose: false }
    );
  } else {
    Notification.warning(
      trans.__('This session ends. Everything that was open is saved.'),
      { autoClose: false }
    );
  }
}

async function isWanted(registry: ISettingRegistry | null): Promise<boolean> {
  const settings = await registry?.load(ID);
  return (settings?.get('save').composite as boolean | undefined) ?? true;
}

function activate(
  app: JupyterFrontEnd,
  manager: IDocumentManager,
  registry: ISettingRegistry | null,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('jupyterhub_aiinfn');
  const tab = UUID.uuid4();
  const { events, serverSettings } = app.serviceManager;
  const say = (saved: boolean) =>
    post('saving', { tab, saved }, serverSettings);

  async function save(): Promise<void> {
    await say(false);
    const documents = (await isWanted(registry)) ? open(app, manager) : [];
    const { failed } = await saveAll(documents);
    tell(failed, trans);
    await say(true);
  }

  events.stream.connect((_, event) => {
    if (isStopping(event as ISessionEvent)) {
      save().catch(error =>
        console.warn('aiinfn: the end of the session came too fast', error)
      );
    }
  });
}

/** Saves the documents of this tab before the server ends, whoever ends it. */
export const savingPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Saves the documents of this tab before the session ends.',
  autoStart: true,
  requires: [IDocumentManager],
  optional: [ISettingRegistry, ITranslator],
  activate
};
