// SPDX-License-Identifier: LGPL-2.1-or-later
// Follows a stream and prints each event as a line of JSON; it reconnects by itself. Ends with its input.
'use strict';
const EventSource = require('eventsource');

const [url, key] = process.argv.slice(2);
const source = new EventSource(url, {headers: {'X-API-Key': key}});
source.reconnectInterval = 50;
source.addEventListener('sync.status', event => console.log(JSON.stringify({id: event.lastEventId, data: event.data})));
source.addEventListener('message', event => console.log(JSON.stringify({unnamed: event.data})));
process.stdin.on('end', () => process.exit(0)).resume();
