// An identity provider, certified by the OpenID Foundation (the package oidc-provider), for the stories about sign-in.
//
// Usage: node provider.mjs        prints {"issuer": "http://localhost:PORT"} and serves until its standard input ends.
// POST /control {"client": {"id", "secret", "redirect"}, "people": {"SUBJECT": {claims}}} sets who may use it, and whom it
// knows; anybody it knows signs in with any password. The package is looked up in LOOPIQ_TEST_NPM (a folder node_modules).
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = process.env.LOOPIQ_TEST_NPM;
if (!modules) {
  console.error('LOOPIQ_TEST_NPM is not set: run cargo xtask test');
  process.exit(2);
}
const entry = path.join(path.resolve(modules), 'oidc-provider', 'lib', 'index.js');
const { default: Provider } = await import(pathToFileURL(entry).href);

// Its notices are for people; standard output is for the story, which reads one line of it.
console.info = console.error;

let people = {};
let answer = null;

const configuration = (client) => ({
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      redirect_uris: [client.redirect],
      response_types: ['code'],
      grant_types: ['authorization_code'],
    },
  ],
  scopes: ['openid', 'email', 'profile', 'groups'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ['of a test'] },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
});

const server = http.createServer(async (request, response) => {
  if (request.method === 'POST' && request.url === '/control') {
    let body = '';
    for await (const part of request) body += part;
    const wanted = JSON.parse(body);
    if (wanted.client) {
      answer = new Provider(issuer, configuration(wanted.client)).callback();
    }
    people = wanted.people ?? people;
    response.writeHead(204).end();
  } else if (answer) {
    answer(request, response);
  } else {
    response.writeHead(503).end();
  }
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://localhost:${server.address().port}`;
console.log(JSON.stringify({ issuer }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
