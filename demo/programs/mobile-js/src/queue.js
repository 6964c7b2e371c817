'use strict';

const { EventEmitter } = require('eventemitter3');

/** Keeps actions while the phone is offline and sends them, oldest first, when it is back. */
class OfflineQueue extends EventEmitter {
  constructor() {
    super();
    this.waiting = [];
  }

  add(action) {
    this.waiting.push(action);
    this.emit('change', this.waiting.length);
  }

  async flush(send) {
    while (this.waiting.length > 0) {
      await send(this.waiting[0]);
      this.waiting.shift();
    }
    this.emit('change', 0);
  }
}

module.exports = { OfflineQueue };
