'use strict';

const { route } = require('../src/route');

describe('route', () => {
  test('a balance names its account', () => {
    expect(route('balance', { account: 'cash' })).toEqual({ kind: 'balance', account: 'cash' });
  });

  test('a transfer carries both accounts and the amount', () => {
    expect(route('transfer', { from: 'a', to: 'b', cents: 5 })).toEqual({
      kind: 'transfer', from: 'a', to: 'b', cents: 5,
    });
  });

  test.each([0, -1, 1.5, '5', undefined])('a transfer of %p is refused', (cents) => {
    expect(route('transfer', { from: 'a', to: 'b', cents })).toHaveProperty('error');
  });

  test('an unknown action is refused', () => {
    expect(route('constructor', {})).toEqual({ error: 'unknown action: constructor' });
  });
});
