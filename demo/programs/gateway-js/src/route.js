'use strict';

const ACTIONS = new Map([
  ['balance', (body) => ({ kind: 'balance', account: body.account })],
  ['transfer', (body) => ({ kind: 'transfer', from: body.from, to: body.to, cents: body.cents })],
]);

/** Turns a partner's request into a message for the ledger, or says why not. */
function route(action, body) {
  const make = ACTIONS.get(action);
  if (!make) return { error: `unknown action: ${action}` };
  if (action === 'transfer' && !(Number.isInteger(body.cents) && body.cents > 0)) {
    return { error: 'cents must be a positive whole number' };
  }
  return make(body);
}

module.exports = { route };
