// A loopback proxy which adds a bearer token to every request and otherwise passes bytes through as they are.
//
// Usage: node proxy.mjs TARGET [TOKEN]      (TARGET like http://127.0.0.1:8080; TOKEN may also be in LOOPIQ_TEST_TOKEN)
// Prints {"port":N,"url":"http://127.0.0.1:N"} when it listens; runs until it is ended.
//
// The conformance suite cannot send a token, so it talks to the server through this. What the suite tests about
// headers (their case, surrounding blanks, a foreign Host) must reach the server unchanged; therefore this works on
// the bytes of the request head and not through an HTTP library. Exactly three things change in a head:
//   - `Authorization` is added when the request has none,
//   - a `Host` that names the proxy becomes the target's; any other Host (evil.example.com) stays,
//   - an `Origin` that names the proxy becomes the target's; any other Origin stays.
// Bodies and answers, streams included, pass through untouched.
import net from 'node:net';

const target = new URL(process.argv[2] ?? process.env.TARGET ?? 'http://missing.invalid');
const token = process.argv[3] ?? process.env.LOOPIQ_TEST_TOKEN ?? '';
if (target.hostname === 'missing.invalid' || target.protocol !== 'http:' || token === '') {
  console.error('usage: node proxy.mjs http://HOST:PORT TOKEN');
  process.exit(2);
}

const HEAD_LIMIT = 64 * 1024;
const targetHost = target.hostname.replace(/^\[|\]$/g, '');
const targetPort = Number(target.port || 80);
let own = new Set();

/** Rewrites one request head; answers the new bytes and how long the body is (NaN: cannot be told). */
function rewrite(head) {
  const [start, ...fields] = head.split('\r\n');
  let authorized = false;
  let length = 0;
  const kept = fields.map((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'authorization') authorized = true;
    if (name === 'content-length') length = Number(value);
    if (name === 'transfer-encoding') length = NaN;
    if (name === 'host' && own.has(value)) return `${line.slice(0, colon)}: ${target.host}`;
    if (name === 'origin' && value.startsWith('http://') && own.has(value.slice('http://'.length))) {
      return `${line.slice(0, colon)}: http://${target.host}`;
    }
    return line;
  });
  if (!authorized) kept.push(`Authorization: Bearer ${token}`);
  return { bytes: Buffer.from([start, ...kept, '', ''].join('\r\n'), 'latin1'), length };
}

function refuse(client, status) {
  client.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}

const server = net.createServer((client) => {
  client.setNoDelay(true);
  const upstream = net.connect(targetPort, targetHost);
  upstream.setNoDelay(true);
  let pending = Buffer.alloc(0);
  let body = 0;

  client.on('data', (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      if (body > 0) {
        const part = pending.subarray(0, body);
        pending = pending.subarray(part.length);
        body -= part.length;
        upstream.write(part);
        continue;
      }
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0) {
        if (pending.length > HEAD_LIMIT) refuse(client, '431 Request Header Fields Too Large');
        return;
      }
      const { bytes, length } = rewrite(pending.subarray(0, end).toString('latin1'));
      if (Number.isNaN(length)) return refuse(client, '411 Length Required');
      pending = pending.subarray(end + 4);
      body = length;
      upstream.write(bytes);
    }
  });
  upstream.pipe(client);
  client.on('end', () => upstream.end());
  client.on('close', () => upstream.destroy());
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
});

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  own = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  console.log(JSON.stringify({ port, url: `http://127.0.0.1:${port}` }));
});
