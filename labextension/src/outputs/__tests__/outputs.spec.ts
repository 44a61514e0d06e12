import { IAnswer, ICell, INotebook, IRun, Outputs } from '../model';

const text = (value: string) => ({
  output_type: 'stream',
  name: 'stdout',
  text: value
});

function run(changes: Partial<IRun> = {}): IRun {
  return {
    id: 'm1',
    cell: 'a',
    source: 'work()',
    running: false,
    version: 3,
    execution_count: 7,
    outputs: [text('1\n')],
    ...changes
  };
}

/** A notebook with one cell, and a server that answers what it is told to. */
function notebook(answer: IAnswer, source = 'work()') {
  const made = {
    hash: 'h0',
    shown: [] as IRun[],
    asked: [] as Record<string, number>[],
    answer,
    cell: (id: string): ICell | null =>
      id === 'a'
        ? { source, outputs: [], show: one => made.shown.push(one) }
        : null,
    rebase: (hash: string) => {
      made.hash = hash;
    },
    ask: async (_: string, known: Record<string, number>) => {
      made.asked.push(known);
      return made.answer;
    }
  };
  return made as typeof made & INotebook;
}

describe('Outputs', () => {
  it('shows what a new tab does not have, and says that it has it now', async () => {
    const one = notebook({ runs: [run()], hash: 'h1' });
    expect(await new Outputs(one).bring()).toBe(false);
    expect(one.shown.map(({ id }) => id)).toEqual(['m1']);
    expect(one.hash).toBe('h1');
    expect(one.asked).toEqual([{}, { m1: 3 }]);
  });

  it('goes on asking while something runs', async () => {
    const one = notebook({ runs: [run({ running: true })], hash: '' });
    const outputs = new Outputs(one);
    expect(await outputs.bring()).toBe(true);
    one.answer = { runs: [run({ running: true, outputs: null })], hash: '' };
    expect(await outputs.bring()).toBe(true);
    one.answer = { runs: [run({ version: 5 })], hash: '' };
    expect(await outputs.bring()).toBe(false);
    expect(one.shown.map(({ running }) => running)).toEqual([true, false]);
    expect(one.hash).toBe('h0');
  });

  it('leaves alone what its own connection brings', async () => {
    const one = notebook({ runs: [run({ outputs: null })], hash: '' });
    const outputs = new Outputs(one);
    outputs.sent('m1');
    expect(outputs.known).toEqual({ m1: -1 });
    outputs.finished('m1');
    outputs.lost();
    expect(outputs.known).toEqual({ m1: -1 });
    await outputs.bring();
    expect(one.shown).toEqual([]);
  });

  it('takes what ran while the connection was lost, also when the code was edited since', async () => {
    const one = notebook({ runs: [run()], hash: '' }, 'work(2)');
    const outputs = new Outputs(one);
    outputs.sent('m1');
    outputs.lost();
    outputs.finished('m1'); // a part of what was said came later, a part perhaps not at all
    expect(outputs.known).toEqual({});
    await outputs.bring();
    expect(one.shown.length).toBe(1);
  });

  it('puts nothing below other code, or into cells that are gone', async () => {
    const runs = [run(), run({ id: 'm2', cell: 'gone' })];
    const one = notebook({ runs, hash: '' }, 'work(2)');
    const outputs = new Outputs(one);
    await outputs.bring();
    expect(one.shown).toEqual([]);
    expect(outputs.known).toEqual({});
  });

  it('asks once at a time, and again after a failure', async () => {
    const one = notebook({ runs: [run()], hash: '' });
    const outputs = new Outputs(one);
    const ask = one.ask;
    one.ask = () => Promise.reject(new Error('away'));
    const both = await Promise.allSettled([outputs.bring(), outputs.bring()]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    one.ask = ask;
    await Promise.all([outputs.bring(), outputs.bring()]);
    expect(one.shown.length).toBe(1);
  });

  it('is stale from the loss of the connection until the server has answered', async () => {
    const one = notebook({ runs: [], hash: '' });
    const outputs = new Outputs(one);
    expect(outputs.isStale).toBe(false);
    outputs.lost();
    expect(outputs.isStale).toBe(true);
    await outputs.bring();
    expect(outputs.isStale).toBe(false);
    const asking = outputs.bring();
    outputs.lost();
    await asking;
    expect(outputs.isStale).toBe(true);
  });
});
