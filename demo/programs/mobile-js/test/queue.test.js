'use strict';

const { OfflineQueue } = require('../src/queue');

describe('OfflineQueue', () => {
  test('sends oldest first', async () => {
    const queue = new OfflineQueue();
    const sent = [];
    queue.add('one');
    queue.add('two');
    await queue.flush(async (action) => sent.push(action));
    expect(sent).toEqual(['one', 'two']);
  });

  test('keeps what could not be sent', async () => {
    const queue = new OfflineQueue();
    queue.add('one');
    await expect(queue.flush(async () => { throw new Error('offline'); })).rejects.toThrow('offline');
    expect(queue.waiting).toEqual(['one']);
  });

  test.todo('survives a restart of the app');
});
