"""Registers an instance with the PyPI package nacos-sdk-python, which then beats by itself, until it is killed.

Prints "registered" when the registry has said so. Nothing of the client is replaced or patched.
"""

import argparse
import tempfile
import time

import nacos


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="host:port of the registry")
    parser.add_argument("--service", required=True)
    parser.add_argument("--ip", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--beat-interval-ms", type=int, required=True)
    args = parser.parse_args()

    # Without a folder of its own the client writes its log into the home folder.
    with tempfile.TemporaryDirectory() as folder:
        client = nacos.NacosClient(args.server, namespace="public", logDir=folder)
        registered = client.add_naming_instance(
            args.service, args.ip, args.port, heartbeat_interval=args.beat_interval_ms / 1000
        )
        if not registered:
            raise SystemExit("the registry did not say ok")
        print("registered", flush=True)
        # Ends by itself if the test that started it could not.
        time.sleep(300)


main()
