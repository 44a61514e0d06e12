import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { LabSession } from '../api';
import { get } from '../requests';
import { open } from '../saving/plugin';
import {
  CommandIDs,
  ISurroundings,
  addCommands,
  keepUntil,
  platformPage
} from './commands';
import { Following } from './following';
import { sessionIcon } from './icon';
import { SessionModel } from './model';
import { Notices } from './notices';
import { SessionPanel } from './panel';
import { SessionSettings } from './settings';
import { beep } from './sound';
import { SessionStatus } from './widget';

const ID = 'jupyterhub-aiinfn:session';

/** Parts of JupyterLab that may be absent (Notebook 7 has no status bar and no launcher). */
interface IOptional {
  statusBar: IStatusBar | null;
  launcher: ILauncher | null;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
}

function makePanel(
  on: ISurroundings,
  following: Following,
  settings: SessionSettings
): SessionPanel {
  const { app, model, trans } = on;
  const run = (id: string) => () => void app.commands.execute(id);
  const panel = new SessionPanel({
    model,
    trans,
    platform: platformPage(),
    actions: {
      stop: run(CommandIDs.stop),
      change: run(CommandIDs.change),
      extend: run(CommandIDs.extend),
      keepUntil: until => void keepUntil(on, until)
    },
    onSight: visible => {
      following.watching = visible && settings.live;
      panel.update();
    }
  });
  panel.title.icon = sessionIcon;
  panel.title.caption = trans.__('Session');
  return panel;
}

function addNotices(on: ISurroundings, settings: SessionSettings): void {
  new Notices(on.model, on.trans, {
    extend: () => void on.app.commands.execute(CommandIDs.extend),
    open: on.open,
    seen: () => settings.seen,
    remember: ids => settings.remember(ids),
    alert: () => settings.sound && beep()
  });
}

function addEntries(on: ISurroundings, parts: IOptional): void {
  const { model, trans } = on;
  parts.statusBar?.registerStatusItem(ID, {
    item: new SessionStatus(model, trans, on.open),
    align: 'left',
    rank: 10,
    isActive: () => model.visible,
    activeStateChanged: model.changed
  });
  parts.launcher?.add({
    command: CommandIDs.open,
    category: trans.__('AI_INFN'),
    rank: 0
  });
  for (const command of Object.values(CommandIDs)) {
    parts.palette?.addItem({ command, category: trans.__('AI_INFN') });
  }
}

async function begin(
  on: ISurroundings,
  registry: ISettingRegistry | null,
  parts: IOptional
): Promise<void> {
  const { app, model } = on;
  const settings = await SessionSettings.load(registry, ID);
  await model.refresh();
  settings.follow(() => (model.wanted = settings.show));
  if (!model.underPlatform) {
    return;
  }
  const following = new Following(app.serviceManager, model);
  const panel = makePanel(on, following, settings);
  app.shell.add(panel, settings.side, { rank: 700, type: 'Session' });
  on.open = () => app.shell.activateById(panel.id);
  parts.restorer?.add(panel, panel.id);
  addNotices(on, settings);
  addEntries(on, parts);
  settings.follow(() => {
    following.watching = panel.isVisible && settings.live;
  });
}

/** JupyterLab restores its side panels once all plugins are there; a slow server does not hold it up for longer. */
const LONGEST = 2000;

async function activate(
  app: JupyterFrontEnd,
  manager: IDocumentManager,
  statusBar: IStatusBar | null,
  registry: ISettingRegistry | null,
  translator: ITranslator | null,
  launcher: ILauncher | null,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null
): Promise<void> {
  const on: ISurroundings = {
    app,
    model: new SessionModel(() =>
      get<LabSession>('session', app.serviceManager.serverSettings)
    ),
    trans: (translator ?? nullTranslator).load('jupyterhub_aiinfn'),
    documents: () => open(app, manager),
    open: () => undefined
  };
  addCommands({ ...on, open: () => on.open() });
  const parts = { statusBar, launcher, palette, restorer };
  const begun = begin(on, registry, parts).catch(error =>
    console.warn('aiinfn: the session panel is not there', error)
  );
  await Promise.race([
    begun,
    new Promise(resolve => setTimeout(resolve, LONGEST))
  ]);
}

/** The session in status bar, side panel and launcher; nothing where the platform did not start this server. */
export const sessionPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description:
    'What this session is and uses, how long it stays, and what can be done about it.',
  autoStart: true,
  requires: [IDocumentManager],
  optional: [
    IStatusBar,
    ISettingRegistry,
    ITranslator,
    ILauncher,
    ICommandPalette,
    ILayoutRestorer
  ],
  activate
};
