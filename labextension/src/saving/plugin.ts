import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { Contents } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';

import { post } from '../requests';
import {
  IDocument,
  IResult,
  ISessionEvent,
  isStopping,
  saveAll
} from './model';
import {
  BrowserStore,
  IUnsaved,
  IUnsavedStore,
  recoveredName
} from './unsaved';

const ID = 'jupyterhub-aiinfn:saving';
/** Of the seconds that the server waits, those that the answers need. */
const FOR_ANSWERS = 0.5;
const NAMES = 20;

/** The documents that are open in the main area. */
export function open(
  app: JupyterFrontEnd,
  manager: IDocumentManager
): IDocument[] {
  return [...app.shell.widgets('main')]
    .map(widget => manager.contextForWidget(widget))
    .filter(context => context !== undefined) as IDocument[];
}

function tell({ failed, kept }: IResult, trans: TranslationBundle): void {
  const names = failed.join(', ');
  const autoClose = false;
  if (!failed.length) {
    Notification.warning(
      trans.__('This session ends. Everything that was open is saved.'),
      { autoClose }
    );
  } else if (kept.length) {
    Notification.error(
      trans.__(
        'This session ends. This browser keeps what is not saved, and your next session offers to recover it: %1',
        names
      ),
      { autoClose }
    );
  } else {
    Notification.error(
      trans.__(
        'This session ends. Keep this tab open, and copy what is not saved: %1',
        names
      ),
      { autoClose }
    );
  }
}

async function isWanted(registry: ISettingRegistry | null): Promise<boolean> {
  const settings = await registry?.load(ID);
  return (settings?.get('save').composite as boolean | undefined) ?? true;
}

/** Write one document to a new file next to where it was, or in the home; the new name. Nothing is replaced. */
async function recover(
  contents: Contents.IManager,
  document: IUnsaved
): Promise<string> {
  const name = document.path.slice(document.path.lastIndexOf('/') + 1);
  for (const path of [document.path, name]) {
    for (let attempt = 0; attempt < NAMES; attempt++) {
      const free = recoveredName(path, new Date(document.at), attempt);
      const taken = await contents.get(free, { content: false }).then(
        () => true,
        () => false
      );
      if (!taken) {
        const { type, format, content } = document;
        const saved = await contents
          .save(free, { type, format, content })
          .catch(() => null);
        if (saved) {
          return saved.path;
        }
        break;
      }
    }
  }
  throw new Error(document.path);
}

function offerRecovery(
  app: JupyterFrontEnd,
  store: IUnsavedStore,
  documents: IUnsaved[],
  trans: TranslationBundle
): void {
  const names = documents.map(({ path }) => path).join(', ');
  const recoverAll = async () => {
    for (const one of documents) {
      const path = await recover(app.serviceManager.contents, one);
      await store.remove(one.base, one.path);
      await app.commands.execute('docmanager:open', { path });
    }
  };
  Notification.warning(
    trans.__('Not saved when your last session ended: %1', names),
    {
      autoClose: false,
      actions: [
        {
          label: trans.__('Recover'),
          caption: trans.__('Write each to a new file and open it'),
          callback: () =>
            void recoverAll().catch((error: Error) =>
              Notification.error(
                trans.__(
                  '"%1" could not be written. This browser still keeps it: make room, then reload this page.',
                  error.message
                ),
                { autoClose: false }
              )
            )
        },
        {
          label: trans.__('Discard'),
          callback: () =>
            documents.forEach(one => void store.remove(one.base, one.path))
        }
      ]
    }
  );
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
  const store = new BrowserStore();
  const base = serverSettings.baseUrl;
  const say = (saved: boolean) =>
    post('saving', { tab, saved }, serverSettings);

  async function save(seconds: number): Promise<void> {
    await say(false);
    const documents = (await isWanted(registry)) ? open(app, manager) : [];
    const result = await saveAll(documents, store, base, seconds - FOR_ANSWERS);
    tell(result, trans);
    await say(true);
  }

  events.stream.connect((_, event) => {
    const said = event as ISessionEvent;
    if (isStopping(said)) {
      save(said.seconds ?? FOR_ANSWERS).catch(error =>
        console.warn('aiinfn: the end of the session came too fast', error)
      );
    }
  });
  void app.restored
    .then(() => store.all(base))
    .then(found => {
      if (found.length) {
        offerRecovery(app, store, found, trans);
      }
    })
    .catch(error =>
      console.warn('aiinfn: this browser keeps no documents', error)
    );
}

/** Saves the documents of this tab before the server ends, whoever ends it; keeps in the browser what cannot be saved. */
export const savingPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Saves the documents of this tab before the session ends.',
  autoStart: true,
  requires: [IDocumentManager],
  optional: [ISettingRegistry, ITranslator],
  activate
};
