"""Registers an instance with the PyPI package nacos-sdk-python, from 2.0 on, which speaks gRPC.

What it prints and how it is stopped: see README.md. Nothing of the client is replaced or patched.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile

from v2.nacos import (
    BatchRegisterInstanceParam,
    ClientConfigBuilder,
    DeregisterInstanceParam,
    GRPCConfig,
    ListInstanceParam,
    NacosNamingService,
    RegisterInstanceParam,
    SubscribeServiceParam,
)

# Ends by itself if the test that started it could not.
LIFE_SECONDS = 300


def shown(hosts):
    return " ".join(sorted(f"{host.ip}:{host.port}={'healthy' if host.healthy else 'unhealthy'}" for host in hosts))


def say(line):
    print(line, flush=True)


def ports(text):
    return [int(port) for port in text.split(",")]


def flags():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="host:port of the registry; its gRPC port is 1000 above")
    parser.add_argument("--grpc-port", type=int, help="or this one")
    parser.add_argument("--service", required=True)
    parser.add_argument("--namespace", default="")
    parser.add_argument("--group", default="DEFAULT_GROUP")
    parser.add_argument("--ip", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="nothing is registered without")
    parser.add_argument("--batch", type=ports, default=[], help="or these, at once")
    parser.add_argument("--batch-again", type=ports, default=[], help="and at SIGHUP these in their place")
    parser.add_argument("--metadata", type=json.loads, default={})
    parser.add_argument("--persistent", action="store_true")
    parser.add_argument("--query", action="store_true", help="list and select until the end")
    parser.add_argument("--subscribe", action="store_true")
    parser.add_argument("--watch", action="store_true", help="both")
    return parser.parse_args()


class Driver:
    def __init__(self, args, client):
        self.args = args
        self.client = client
        self.names = {"service_name": args.service, "group_name": args.group}
        self.again = asyncio.Event()
        self.stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.again.set)
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)

    def instance(self, port):
        return RegisterInstanceParam(
            **self.names,
            ip=self.args.ip,
            port=port,
            metadata=self.args.metadata,
            ephemeral=not self.args.persistent,
        )

    def batch(self, them):
        return BatchRegisterInstanceParam(**self.names, instances=[self.instance(port) for port in them])

    async def register(self):
        if self.args.port:
            done = await self.client.register_instance(self.instance(self.args.port))
        elif self.args.batch:
            done = await self.client.batch_register_instances(self.batch(self.args.batch))
        else:
            return
        if not done:
            raise SystemExit("the registry did not say ok")
        say("registered")

    async def deregister(self):
        if self.args.port:
            names = {**self.names, "ip": self.args.ip, "port": self.args.port}
            gone = DeregisterInstanceParam(**names, ephemeral=not self.args.persistent)
            done = await self.client.deregister_instance(gone)
        elif self.args.batch:
            done = await self.client.batch_deregister_instances(self.batch(self.args.batch_again or self.args.batch))
        else:
            return
        if done:
            say("deregistered")

    async def live(self):
        await self.register()
        if self.args.watch or self.args.subscribe:
            await self.client.subscribe(SubscribeServiceParam(**self.names, subscribe_callback=self.heard))
        last = {}
        while not self.stop.is_set():
            if self.again.is_set():
                self.again.clear()
                if await self.client.batch_register_instances(self.batch(self.args.batch_again)):
                    say("registered again")
            if self.args.watch or self.args.query:
                await self.look(last)
            await asyncio.sleep(0.1)
        await self.deregister()

    async def heard(self, hosts):
        say(f"heard {shown(hosts)}")

    async def look(self, last):
        for what, healthy_only in (("listed", None), ("selected", True)):
            try:
                # Not from what the subscription keeps. But there is no query in this client that does not subscribe.
                asked = ListInstanceParam(**self.names, subscribe=False, healthy_only=healthy_only)
                hosts = await self.client.list_instances(asked)
            except Exception as error:
                # The registry is away, as the test wants it to be for a while.
                print(error, file=sys.stderr, flush=True)
                continue
            if last.get(what) != shown(hosts):
                last[what] = shown(hosts)
                say(f"{what} {last[what]}")


async def run(args, folder):
    # Without folders of its own the client writes into the home folder, and starts with what another one knew.
    builder = ClientConfigBuilder().server_address(args.server).namespace_id(args.namespace)
    builder = builder.cache_dir(f"{folder}/cache").log_dir(f"{folder}/log").log_level(logging.INFO)
    if args.grpc_port:
        offset = args.grpc_port - int(args.server.rpartition(":")[2])
        builder = builder.grpc_config(GRPCConfig(port_offset=offset))
    # A failing test shows what the client logged, but for its chatter, and for what it says to each list it knows.
    shows = logging.StreamHandler(sys.stderr)
    shows.setLevel(logging.WARNING)
    shows.addFilter(lambda record: not record.getMessage().startswith("out of date data"))
    logging.getLogger("naming").addHandler(shows)
    driver = Driver(args, await NacosNamingService.create_naming_service(builder.build()))
    await asyncio.wait_for(driver.live(), LIFE_SECONDS)


with tempfile.TemporaryDirectory() as temporary:
    asyncio.run(run(flags(), temporary))
    sys.stdout.flush()
# The client's threads and tasks may still be about something, and would keep the process for ever.
os._exit(0)
