'use strict';

const Handlebars = require('handlebars');

const TEMPLATE = Handlebars.compile('<p>{{from}} paid {{to}} {{amount}}</p>');

/** A receipt as HTML. Names are escaped by the template. */
function receipt(transfer) {
  const amount = (transfer.cents / 100).toFixed(2);
  return TEMPLATE({ from: transfer.from, to: transfer.to, amount });
}

module.exports = { receipt };
