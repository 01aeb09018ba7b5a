// Registers an instance with the npm package nacos, which then beats by itself, until it is killed.
//
// Prints "registered" when the registry has said so. Nothing of the client is replaced or patched.
// Arguments: host:port of the registry, service, ip, port.

'use strict';

const { NacosNamingClient } = require('nacos');

const [server, serviceName, ip, port] = process.argv.slice(2);
const silent = () => {};
const logger = { info: silent, debug: silent, warn: console.error, error: console.error };

async function main() {
  const client = new NacosNamingClient({ logger, serverList: server, namespace: 'public' });
  await client.ready();
  await client.registerInstance(serviceName, { ip, port: Number(port) });
  console.log('registered');
  // Ends by itself if the test that started it could not.
  setTimeout(() => process.exit(1), 300_000);
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
