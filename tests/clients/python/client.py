"""SDS by grpcio, gRPC's C core: it sends the socket's path as `:authority`. Messages come from the server's reflection."""

import json
import queue
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"


def say(**seen):
    print(json.dumps(seen), flush=True)


def main(socket, token_file, bad_token_file, _protos):
    channel = grpc.insecure_channel(f"unix:{socket}")
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
    say(health=health_pb2.HealthCheckResponse.ServingStatus.Name(health.status))

    reflection = ProtoReflectionDescriptorDatabase(channel)
    say(services=sorted(reflection.get_services()))
    pool = descriptor_pool.DescriptorPool(reflection)
    method = pool.FindServiceByName(SERVICE).FindMethodByName("StreamSecrets")
    request = message_factory.GetMessageClass(method.input_type)
    response = message_factory.GetMessageClass(method.output_type)
    secret = message_factory.GetMessageClass(pool.FindMessageTypeByName(SECRET))
    stream = channel.stream_stream(
        f"/{SERVICE}/StreamSecrets",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )

    def ask(**more):
        return request(resource_names=["default", "ROOTCA"], type_url=f"type.googleapis.com/{SECRET}", **more)

    def open_stream(token):
        requests = queue.SimpleQueue()
        requests.put(ask())
        answers = stream(iter(requests.get, None), metadata=[("istio_sds_credentials_header-bin", token)], timeout=60)
        return requests, answers

    requests, answers = open_stream(read(token_file))
    chains = set()
    for answer in answers:
        for resource in answer.resources:
            chains.update(tell(secret.FromString(resource.value)))
        requests.put(ask(version_info=answer.version_info, response_nonce=answer.nonce))
        if len(chains) == 2:
            break
    answers.cancel()

    _, answers = open_stream(read(bad_token_file))
    try:
        next(answers)
        say(refused=None)
    except grpc.RpcError as error:
        say(refused=error.code().name, message=error.details())


def tell(secret):
    """Says what a secret is, and yields the chain if it has one."""
    chain = secret.tls_certificate.certificate_chain.inline_bytes.decode()
    if chain:
        say(secret=secret.name, chain=chain, key=bool(secret.tls_certificate.private_key.inline_bytes))
        yield chain
    else:
        say(secret=secret.name, roots=secret.validation_context.trusted_ca.inline_bytes.decode())


def read(file):
    with open(file, "rb") as opened:
        return opened.read().strip()


if __name__ == "__main__":
    main(*sys.argv[1:5])
