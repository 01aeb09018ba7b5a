// Registers an instance with the npm package nacos, which then beats by itself.
//
// What it prints and how it is stopped: see README.md. Nothing of the client is replaced or patched.

'use strict';

const { parseArgs } = require('node:util');
const { NacosNamingClient } = require('nacos');

const { values: flags } = parseArgs({
  options: {
    server: { type: 'string' },
    service: { type: 'string' },
    ip: { type: 'string' },
    port: { type: 'string' },
    metadata: { type: 'string', default: '{}' },
    'beat-interval-ms': { type: 'string' },
    watch: { type: 'boolean', default: false },
    // No beats: the registry asks.
    persistent: { type: 'boolean', default: false },
  },
});
const { service } = flags;

const silent = () => {};
// The client tells of a push only by a line that it logs.
const info = (line, json) => {
  if (String(line).startsWith('[PushReceiver] received push data')) {
    console.log('pushed ' + shown(JSON.parse(JSON.parse(json).data).hosts));
  }
};
const logger = { info, debug: silent, warn: console.error, error: console.error };

const shown = hosts => hosts
  .map(host => `${host.ip}:${host.port}=${host.healthy ? 'healthy' : 'unhealthy'}`)
  .sort()
  .join(' ');

async function main() {
  const client = new NacosNamingClient({ logger, serverList: flags.server, namespace: 'public' });
  await client.ready();
  const instance = { ip: flags.ip, port: Number(flags.port), metadata: JSON.parse(flags.metadata) };
  if (flags.persistent) {
    instance.ephemeral = false;
  }
  await client.registerInstance(service, instance);
  console.log('registered');
  process.once('SIGTERM', async () => {
    await client.deregisterInstance(service, instance);
    console.log('deregistered');
    process.exit(0);
  });
  // Ends by itself if the test that started it could not.
  setTimeout(() => process.exit(1), 300_000);
  if (flags.watch) {
    client.subscribe(service, hosts => console.log('heard ' + shown(hosts)));
    await watch(client);
  }
}

async function watch(client) {
  const last = {};
  const note = (what, hosts) => {
    if (last[what] !== shown(hosts)) {
      last[what] = shown(hosts);
      console.log(`${what} ${last[what]}`);
    }
  };
  for (;;) {
    try {
      // Not from what the subscription keeps: these ask the registry each time.
      note('listed', await client.getAllInstances(service, 'DEFAULT_GROUP', '', false));
      note('selected', await client.selectInstances(service, 'DEFAULT_GROUP', '', true, false));
    } catch (error) {
      console.error(error.message);
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
