"""Registers an instance with the PyPI package nacos-sdk-python, which then beats by itself.

What it prints and how it is stopped: see README.md. Nothing of the client is replaced or patched.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time

import nacos
from nacos.listener import SubscribeListener

# Ends by itself if the test that started it could not.
LIFE_SECONDS = 300


def shown(hosts):
    return " ".join(
        sorted(f"{host['ip']}:{host['port']}={'healthy' if host['healthy'] else 'unhealthy'}" for host in hosts)
    )


def say(line):
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="host:port of the registry")
    parser.add_argument("--service", required=True)
    parser.add_argument("--ip", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--metadata", type=json.loads, default={})
    parser.add_argument("--beat-interval-ms", type=int, required=True)
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--persistent", action="store_true", help="no beats: the registry asks")
    args = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    # Without a folder of its own the client writes its log into the home folder.
    with tempfile.TemporaryDirectory() as folder:
        client = nacos.NacosClient(args.server, namespace="public", logDir=folder)
        registered = client.add_naming_instance(
            args.service,
            args.ip,
            args.port,
            metadata=args.metadata,
            ephemeral=not args.persistent,
            heartbeat_interval=None if args.persistent else args.beat_interval_ms / 1000,
        )
        if not registered:
            raise SystemExit("the registry did not say ok")
        say("registered")
        if args.watch:
            heard = SubscribeListener(lambda event, it: say(f"heard {event} {shown([it.instance])}"), "heard")
            client.subscribe(heard, 1, args.service)
        last = {}
        end = time.monotonic() + LIFE_SECONDS
        while not stop.wait(0.1):
            if time.monotonic() > end:
                sys.exit(1)
            if args.watch:
                look(client, args.service, last)
        client.stop_subscribe()
        if client.remove_naming_instance(args.service, args.ip, args.port, ephemeral=not args.persistent):
            say("deregistered")
    # The client's timer thread may be about to start the next one, and would keep the process for ever.
    os._exit(0)


def look(client, service, last):
    for what, healthy_only in (("listed", False), ("selected", True)):
        try:
            hosts = client.list_naming_instance(service, healthy_only=healthy_only)["hosts"]
        except Exception as error:
            # The registry is away, as the test wants it to be for a while.
            print(error, file=sys.stderr, flush=True)
            continue
        if last.get(what) != shown(hosts):
            last[what] = shown(hosts)
            say(f"{what} {last[what]}")


main()
