import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { get } from '../requests';
import { ISession, SessionModel } from './model';
import { SessionStatus } from './widget';

const ID = 'jupyterhub-aiinfn:session';

async function follow(
  registry: ISettingRegistry,
  model: SessionModel
): Promise<void> {
  const settings = await registry.load(ID);
  const apply = () => {
    model.wanted = settings.get('show').composite as boolean;
  };
  settings.changed.connect(apply);
  apply();
}

function activate(
  app: JupyterFrontEnd,
  statusBar: IStatusBar | null,
  registry: ISettingRegistry | null,
  translator: ITranslator | null
): void {
  if (!statusBar) {
    return;
  }
  const trans = (translator ?? nullTranslator).load('jupyterhub_aiinfn');
  const model = new SessionModel(() =>
    get<ISession>('session', app.serviceManager.serverSettings)
  );
  statusBar.registerStatusItem(ID, {
    item: new SessionStatus(model, trans),
    align: 'left',
    rank: 10,
    isActive: () => model.visible,
    activeStateChanged: model.changed
  });
  if (registry) {
    follow(registry, model).catch(error =>
      console.warn('aiinfn: the settings of the session are unknown', error)
    );
  }
  void model.refresh();
}

/** Profile and project of this session in the status bar; nothing where the platform did not start this server. */
export const sessionPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Says profile and project of this session in the status bar.',
  autoStart: true,
  optional: [IStatusBar, ISettingRegistry, ITranslator],
  activate
};
