import { OneWarning, fullMessage } from '../model';

describe('fullMessage', () => {
  const event = {
    schema_id: 'urn:jupyterhub-aiinfn:home',
    event: 'full',
    message: 'your home has reached its limit'
  };

  it('reads the sentence of our event', () => {
    expect(fullMessage(event)).toBe('your home has reached its limit');
  });

  it('passes over the events of others', () => {
    expect(fullMessage({ ...event, schema_id: 'urn:other' })).toBeNull();
    expect(fullMessage({ ...event, event: 'else' })).toBeNull();
  });

  it('takes one without a sentence', () => {
    expect(fullMessage({ ...event, message: undefined })).toBe('');
  });
});

describe('OneWarning', () => {
  it('warns once while the warning can be read, and again when it was closed', () => {
    const shown: string[] = [];
    const open = new Set<string>();
    const warning = new OneWarning(
      message => {
        shown.push(message);
        open.add(`${shown.length}`);
        return `${shown.length}`;
      },
      id => open.has(id)
    );
    warning.warn('full');
    warning.warn('still full');
    expect(shown).toEqual(['full']);
    open.clear();
    warning.warn('full again');
    expect(shown).toEqual(['full', 'full again']);
  });
});
