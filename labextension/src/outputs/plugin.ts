import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Kernel, KernelMessage } from '@jupyterlab/services';
import {
  ITranslator,
  TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';

import { Outputs } from './model';
import { findHash, notebookOf } from './notebook';

const ID = 'jupyterhub-aiinfn:outputs';
const SCHEMA_ID = 'urn:jupyterhub-aiinfn:session';
/** Milliseconds between two questions about a cell that runs and of which only the server hears. */
const FOLLOW = 2000;
/** Milliseconds that must have passed before a tab that is looked at again asks again. */
const LOOK_AGAIN = 10_000;
/** Milliseconds after which a save asks first: the machine may have slept, and nothing has said so yet. */
const LONG_AGO = 60_000;
/** Milliseconds that a save waits for the answer. */
const LONGEST = 3000;

interface IOutputsEvent {
  schema_id: string;
  event?: string;
  path?: string;
  aside?: string;
}

/** Keeps one open notebook complete. */
class Follower {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _outputs: Outputs
  ) {
    const { sessionContext } = _panel;
    sessionContext.kernelChanged.connect((_, change) => {
      change.oldValue?.anyMessage.disconnect(this._hear, this);
      this._listen(change.newValue);
    });
    sessionContext.connectionStatusChanged.connect((_, status) => {
      if (status === 'connected') {
        void this.bring();
      } else {
        this._outputs.lost();
      }
    });
    this._listen(sessionContext.session?.kernel ?? null);
    this._askBeforeSaves();
    void Promise.all([_panel.revealed, sessionContext.ready]).then(() =>
      this.bring()
    );
  }

  get path(): string {
    return this._panel.context.localPath;
  }

  /** Ask the server; again as long as something runs that this tab does not hear. */
  async bring(): Promise<void> {
    if (this._panel.isDisposed || !this._panel.context.isReady) {
      return;
    }
    this._asked = Date.now();
    try {
      if (await this._outputs.bring()) {
        window.setTimeout(() => void this.bring(), FOLLOW);
      }
    } catch (error) {
      // The server is away: its return is a new connection, which brings us here again.
      console.warn('aiinfn: outputs could not be asked for', error);
    }
  }

  /** Somebody looks at the tab, perhaps after the machine has slept. */
  look(): void {
    if (Date.now() - this._asked > LOOK_AGAIN) {
      void this.bring();
    }
  }

  /** What the server wrote into the file while this tab was away is no conflict: the tab gets it before it saves. */
  private _askBeforeSaves(): void {
    const { context } = this._panel;
    const save = context.save.bind(context);
    context.save = async () => {
      if (this._outputs.isStale || Date.now() - this._asked > LONG_AGO) {
        const late = new Promise(resolve => setTimeout(resolve, LONGEST));
        await Promise.race([this.bring(), late]);
      }
      await save();
    };
  }

  private _listen(kernel: Kernel.IKernelConnection | null | undefined): void {
    kernel?.anyMessage.connect(this._hear, this);
  }

  private _hear(
    _: Kernel.IKernelConnection,
    { msg, direction }: Kernel.IAnyMessageArgs
  ): void {
    if (direction === 'send' && msg.header.msg_type === 'execute_request') {
      this._outputs.sent(msg.header.msg_id);
    } else if (
      direction === 'recv' &&
      KernelMessage.isStatusMsg(msg) &&
      msg.content.execution_state === 'idle' &&
      'msg_id' in msg.parent_header
    ) {
      this._outputs.finished(msg.parent_header.msg_id);
    }
  }

  private _asked = 0;
}

function tellAside(
  app: JupyterFrontEnd,
  trans: TranslationBundle,
  path: string,
  aside: string
): void {
  Notification.warning(
    trans.__(
      'Outputs that "%1" could not take, because it has changed, are kept in "%2".',
      path,
      aside
    ),
    {
      autoClose: false,
      actions: [
        {
          label: trans.__('Show'),
          callback: () =>
            void app.commands.execute('docmanager:open', { path: aside })
        }
      ]
    }
  );
}

function activate(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('jupyterhub_aiinfn');
  const { contents, events, serverSettings } = app.serviceManager;
  const followers = new Set<Follower>();

  tracker.widgetAdded.connect((_, panel) => {
    const outputs = new Outputs(notebookOf(panel, serverSettings));
    const follower = new Follower(panel, outputs);
    followers.add(follower);
    panel.context.pathChanged.connect(() => {
      findHash(panel, contents).catch(error =>
        console.warn('aiinfn: the file could not be looked at', error)
      );
    });
    panel.disposed.connect(() => followers.delete(follower));
  });
  events.stream.connect((_, emission) => {
    const { schema_id, event, path, aside } = emission as IOutputsEvent;
    if (schema_id !== SCHEMA_ID || !path) {
      return;
    }
    if (event === 'outputs') {
      followers.forEach(one => one.path === path && void one.bring());
    } else if (event === 'kept-aside' && aside) {
      tellAside(app, trans, path, aside);
    }
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') {
      followers.forEach(one => one.look());
    }
  });
}

/** Brings outputs of cells that ran while this tab was closed, asleep or cut off into its notebooks. */
export const outputsPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Shows what cells put out while no tab listened.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  activate
};
