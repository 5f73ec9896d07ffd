"""Others' Kafka for the tests: librdkafka's mock cluster, or Tansu, and librdkafka's consumer to read either.

    kafka_peer.py mock BROKERS
    kafka_peer.py tansu PROGRAM PORT

Prints the brokers' addresses, then answers one command a line with one line, until its standard input ends:

    topic NAME PARTITIONS    makes the topic; answers how many partitions it has
    partition NAME KEY       which partition librdkafka's murmur2 partitioner puts that key in; writes a record there
    end NAME                 how many records its partitions have had
    read NAME                all records, as JSON: [[partition, offset, key, value, [[header, value], …]], …]
"""

import json
import socket
import subprocess
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PATIENCE = 30


def make_topic(brokers, name, partitions):
    admin = AdminClient({"bootstrap.servers": brokers})
    # The mock makes what it is asked about, and answers no request to make one.
    if sys.argv[1] != "mock":
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(PATIENCE)
    begin = time.monotonic()
    while time.monotonic() < begin + PATIENCE:
        found = admin.list_topics(name, timeout=PATIENCE).topics[name]
        if found.error is None:
            return len(found.partitions)
        time.sleep(0.1)
    raise RuntimeError(f"no topic {name}")


def partition_of(brokers, name, key):
    seen = []
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2"})
    producer.produce(name, key=key, value=b"", on_delivery=lambda error, message: seen.append((error, message)))
    producer.flush(PATIENCE)
    [(error, message)] = seen
    assert error is None, error
    return message.partition()


def end(brokers, name):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "judge"})
    partitions = consumer.list_topics(name, timeout=PATIENCE).topics[name].partitions
    ends = [consumer.get_watermark_offsets(TopicPartition(name, number), timeout=PATIENCE)[1] for number in partitions]
    consumer.close()
    return sum(ends)


def read(brokers, name):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "judge", "enable.auto.commit": False, "check.crcs": True})
    partitions = consumer.list_topics(name, timeout=PATIENCE).topics[name].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(name, number), timeout=PATIENCE) for number in partitions}
    consumer.assign([TopicPartition(name, number, low) for number, (low, _) in ends.items()])
    wanted = sum(high - low for low, high in ends.values())
    records, begin = [], time.monotonic()
    while len(records) < wanted:
        assert time.monotonic() < begin + PATIENCE, f"{len(records)} of {wanted} records"
        message = consumer.poll(1)
        if message is None:
            continue
        assert message.error() is None, message.error()
        headers = [[key, value.decode()] for key, value in message.headers() or []]
        records.append([message.partition(), message.offset(), message.key().decode(), message.value().decode(), headers])
    consumer.close()
    return records


def start(kind, *arguments):
    if kind == "mock":
        keeper = Producer({"test.mock.num.brokers": int(arguments[0]), "bootstrap.servers": "none"})
        brokers = keeper.list_topics(timeout=PATIENCE).brokers.values()
        return ",".join(f"{broker.host}:{broker.port}" for broker in brokers), keeper
    program, port = arguments
    url = f"tcp://127.0.0.1:{port}"
    command = [program, "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    begin = time.monotonic()
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(port)), 1).close()
            return f"127.0.0.1:{port}", running
        except OSError:
            assert time.monotonic() < begin + PATIENCE and running.poll() is None, "tansu does not listen"
            time.sleep(0.05)


def main():
    brokers, keeper = start(*sys.argv[1:])
    print(brokers, flush=True)
    try:
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "topic":
                answer = make_topic(brokers, arguments[0], int(arguments[1]))
            elif command == "partition":
                answer = partition_of(brokers, *arguments)
            elif command == "end":
                answer = end(brokers, *arguments)
            else:
                answer = read(brokers, *arguments)
            print(json.dumps(answer), flush=True)
    finally:
        if isinstance(keeper, subprocess.Popen):
            keeper.terminate()
            keeper.wait()


main()
