'use strict';

const Mustache = require('mustache');

/** The receipt as HTML; Mustache escapes what it inserts. */
module.exports = (payment) => Mustache.render('<p>{{card}}: {{amount}}, fee {{fee}}</p>', payment);
