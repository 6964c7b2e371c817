'use strict';

const { money, promotion } = require('../src/format');

test('money has two decimals', () => {
  expect(money(1205, 'EUR')).toBe('12.05 EUR');
});

test('a promotion takes a part off', () => {
  expect(promotion('price - 100', 500)).toBe(400);
});

test.skip('money follows the language of the phone', () => {
  expect(money(1205, 'EUR')).toBe('12,05 EUR');
});
