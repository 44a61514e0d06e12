import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  Dialog,
  ICommandPalette,
  MainAreaWidget,
  WidgetTracker,
  showDialog
} from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';
import { extensionIcon } from '@jupyterlab/ui-components';

import { get, send } from '../requests';
import { EnvironmentsModel, IEnvironment, IListing, IWork } from './model';
import { EnvironmentsPanel, IActions } from './widget';

const ID = 'jupyterhub-aiinfn:environments';
const COMMAND = 'aiinfn:environments';
const PANEL = 'jp-aiinfn-environments';

function save(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function makeActions(app: JupyterFrontEnd, trans: TranslationBundle): IActions {
  async function confirmRemoval(environment: IEnvironment): Promise<boolean> {
    const answer = await showDialog({
      title: trans.__('Remove %1?', environment.reference),
      body: trans.__(
        'Its packages and its kernel go away. Notebooks stay; a lock file would let you make it again.'
      ),
      buttons: [
        Dialog.cancelButton(),
        Dialog.warnButton({ label: trans.__('Remove') })
      ]
    });
    return answer.button.accept;
  }
  const openNotebook = (environment: IEnvironment) =>
    void app.commands.execute('notebook:create-new', {
      kernelName: environment.kernel
    });
  return { confirmRemoval, save, openNotebook };
}

function makeModel(app: JupyterFrontEnd): EnvironmentsModel {
  const { events, kernelspecs, serverSettings } = app.serviceManager;
  const model = new EnvironmentsModel(
    {
      list: () => get<IListing>('environments', serverSettings),
      send: <T>(method: 'POST' | 'DELETE', path: string, body?: unknown) =>
        send<T>(method, path, body ?? null, serverSettings),
      lock: path => get<{ lock: string }>(path, serverSettings)
    },
    () => void kernelspecs.refreshSpecs()
  );
  events.stream.connect((_, event) => {
    void model.hear(event as Partial<IWork> & { schema_id?: string });
  });
  return model;
}

async function wantsCard(registry: ISettingRegistry | null): Promise<boolean> {
  const settings = await registry?.load(ID);
  return (settings?.get('launcher').composite as boolean | undefined) ?? true;
}

function activate(
  app: JupyterFrontEnd,
  launcher: ILauncher | null,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null,
  registry: ISettingRegistry | null,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('jupyterhub_aiinfn');
  const model = makeModel(app);
  const tracker = new WidgetTracker<MainAreaWidget<EnvironmentsPanel>>({
    namespace: PANEL
  });
  let panel: MainAreaWidget<EnvironmentsPanel> | null = null;

  function makePanel(): MainAreaWidget<EnvironmentsPanel> {
    const content = new EnvironmentsPanel(
      model,
      makeActions(app, trans),
      trans
    );
    const made = new MainAreaWidget({ content });
    made.id = PANEL;
    made.toolbar.hide();
    made.title.label = trans.__('Environments');
    made.title.icon = extensionIcon;
    made.title.closable = true;
    return made;
  }

  app.commands.addCommand(COMMAND, {
    label: trans.__('Environments'),
    caption: trans.__('Make and change Python environments of your own'),
    icon: extensionIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      if (!panel || panel.isDisposed) {
        panel = makePanel();
      }
      if (!panel.isAttached) {
        app.shell.add(panel, 'main');
      }
      if (!tracker.has(panel)) {
        await tracker.add(panel);
      }
      app.shell.activateById(panel.id);
      await model.refresh();
    }
  });
  palette?.addItem({ command: COMMAND, category: trans.__('AI_INFN') });
  void restorer?.restore(tracker, { command: COMMAND, name: () => PANEL });
  if (launcher) {
    void wantsCard(registry)
      .catch(() => true)
      .then(wanted => {
        if (wanted) {
          launcher.add({
            command: COMMAND,
            category: trans.__('AI_INFN'),
            rank: 1
          });
        }
      });
  }
}

/** The panel of own environments, from the launcher and the palette. */
export const environmentsPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Makes and shows Python environments of your own.',
  autoStart: true,
  optional: [
    ILauncher,
    ICommandPalette,
    ILayoutRestorer,
    ISettingRegistry,
    ITranslator
  ],
  activate
};
