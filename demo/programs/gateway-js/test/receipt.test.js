'use strict';

const { receipt } = require('../src/receipt');

describe('receipt', () => {
  test('shows the amount with two decimals', () => {
    expect(receipt({ from: 'Ann', to: 'Bo', cents: 1205 })).toBe('<p>Ann paid Bo 12.05</p>');
  });

  test('escapes names', () => {
    expect(receipt({ from: '<b>', to: 'Bo', cents: 1 })).toContain('&lt;b&gt;');
  });
});
