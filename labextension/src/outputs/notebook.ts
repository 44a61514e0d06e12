/** JupyterLab's notebook as `model.ts` sees it. */
import { CodeCell } from '@jupyterlab/cells';
import { IOutput } from '@jupyterlab/nbformat';
import { NotebookPanel } from '@jupyterlab/notebook';
import { Contents } from '@jupyterlab/services';
import { JSONExt, ReadonlyJSONValue } from '@lumino/coreutils';

import { Settings, send } from '../requests';
import { IAnswer, ICell, INotebook, IRun } from './model';

function show(cell: CodeCell, run: IRun): void {
  // What the kernel still sends would be added once more: the server has it all.
  const area: CodeCell['outputArea'] | undefined = cell.outputArea; // none while it is not drawn
  area?.detachFuture()?.dispose();
  const outputs = (run.outputs ?? []) as IOutput[];
  if (!JSONExt.deepEqual(cell.model.outputs.toJSON(), outputs)) {
    cell.model.trusted = true;
    cell.model.outputs.fromJSON(outputs);
  }
  cell.model.executionCount = run.running ? null : run.execution_count;
  cell.model.executionState = run.running ? 'running' : 'idle';
}

function cellOf(panel: NotebookPanel, id: string): ICell | null {
  const cell = panel.content.widgets.find(one => one.model.id === id);
  if (!(cell instanceof CodeCell)) {
    return null;
  }
  return {
    source: cell.model.sharedModel.getSource(),
    outputs: cell.model.outputs.toJSON() as ReadonlyJSONValue[],
    show: run => show(cell, run)
  };
}

/** After a rename JupyterLab knows the file by its time only: find its hash, unless it was changed meanwhile. */
export async function findHash(
  panel: NotebookPanel,
  contents: Contents.IManager
): Promise<void> {
  const options = { content: false, hash: true };
  const found = await contents.get(panel.context.path, options);
  const known = panel.context.contentsModel;
  if (found.hash && known?.last_modified === found.last_modified) {
    rebase(panel, found.hash);
  }
}

function rebase(panel: NotebookPanel, hash: string): void {
  // JupyterLab has no public word for "I know what changed on disk". Without this one it asks the person whether to
  // overwrite, which is safe, only unnecessary.
  const context = panel.context as unknown as { _contentsModel?: object };
  const known = panel.context.contentsModel;
  if (known && '_contentsModel' in context) {
    context._contentsModel = { ...known, hash };
  }
}

/** An open notebook. */
export function notebookOf(
  panel: NotebookPanel,
  settings: Settings
): INotebook {
  return {
    get hash() {
      return panel.context.contentsModel?.hash ?? '';
    },
    cell: id => cellOf(panel, id),
    rebase: hash => rebase(panel, hash),
    ask: (hash, known) =>
      send<IAnswer>(
        'POST',
        'outputs',
        {
          path: panel.context.localPath,
          tab: panel.sessionContext.session?.kernel?.clientId ?? '',
          hash,
          known
        },
        settings
      )
  };
}
