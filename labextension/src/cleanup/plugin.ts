import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';
import { cleaningIcon } from '@jupyterlab/ui-components';

import { get } from '../requests';
import { IHome, IHomeEvent, OneWarning, fullMessage } from './model';

const ID = 'jupyterhub-aiinfn:cleanup';
const COMMAND = 'aiinfn:clean-up';

function addCommand(app: JupyterFrontEnd, trans: TranslationBundle): void {
  const { baseUrl } = app.serviceManager.serverSettings;
  app.commands.addCommand(COMMAND, {
    label: trans.__('Clean Up My Home'),
    caption: trans.__(
      'What takes up room in your home, and what can be deleted'
    ),
    icon: cleaningIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    // A page of its own and not a tab: the hub forbids frames, and it works when JupyterLab does not.
    execute: () => {
      window.open(URLExt.join(baseUrl, 'aiinfn', 'cleanup'), '_blank');
    }
  });
}

function warning(app: JupyterFrontEnd, trans: TranslationBundle): OneWarning {
  const show = (message: string) =>
    Notification.error(trans.__('Nothing can be saved: %1.', message), {
      autoClose: false,
      actions: [
        {
          label: trans.__('Clean up'),
          caption: trans.__('Open the clean-up page'),
          callback: () => void app.commands.execute(COMMAND)
        }
      ]
    });
  return new OneWarning(show, id => Notification.manager.has(id));
}

async function addCard(
  launcher: ILauncher,
  registry: ISettingRegistry | null,
  trans: TranslationBundle
): Promise<void> {
  const settings = await registry?.load(ID);
  if ((settings?.get('card').composite as boolean | undefined) ?? true) {
    launcher.add({ command: COMMAND, category: trans.__('AI_INFN'), rank: 90 });
  }
}

function activate(
  app: JupyterFrontEnd,
  launcher: ILauncher | null,
  palette: ICommandPalette | null,
  registry: ISettingRegistry | null,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('jupyterhub_aiinfn');
  addCommand(app, trans);
  palette?.addItem({ command: COMMAND, category: trans.__('AI_INFN') });
  if (launcher) {
    addCard(launcher, registry, trans).catch(error =>
      console.warn('aiinfn: the settings of the clean-up are unknown', error)
    );
  }
  const { events, serverSettings } = app.serviceManager;
  const full = warning(app, trans);
  events.stream.connect((_, event) => {
    const message = fullMessage(event as IHomeEvent);
    if (message !== null) {
      full.warn(message);
    }
  });
  void app.restored
    .then(() => get<IHome>('cleanup', serverSettings))
    .then(home => home.problem && full.warn(home.problem))
    .catch(error => console.warn('aiinfn: the home is unknown', error));
}

/** Opens the clean-up page, and says when nothing can be saved. */
export const cleanupPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Opens the clean-up page, and says when the home is full.',
  autoStart: true,
  optional: [ILauncher, ICommandPalette, ISettingRegistry, ITranslator],
  activate
};
