'use strict';

/** Cents as a person reads them. */
function money(cents, currency) {
  const symbol = '€';
  return `${(cents / 100).toFixed(2)} ${currency}`;
}

/** What a promotion leaves to pay; its rule comes from the server. Planted weakness: the rule is run as code. */
function promotion(rule, cents) {
  return eval(rule.replace('price', String(cents)));
}

module.exports = { money, promotion };
