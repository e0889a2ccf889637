// SDS by @grpc/grpc-js, from the .proto files of this repository.

const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const [socket, tokenFile, badTokenFile, protos] = process.argv.slice(2);
const say = (seen) => console.log(JSON.stringify(seen));
const read = (file) => fs.readFileSync(file).toString().trim();

const options = { includeDirs: [protos], keepCase: true, enums: String };
const files = ["envoy/service/secret/v3/sds.proto", "envoy/extensions/transport_sockets/tls/v3/secret.proto"];
const definition = loader.loadSync(files, options);
const { SecretDiscoveryService } = grpc.loadPackageDefinition(definition).envoy.service.secret.v3;
const secretType = definition["envoy.extensions.transport_sockets.tls.v3.Secret"];
const client = new SecretDiscoveryService(`unix:${socket}`, grpc.credentials.createInsecure());

function open(tokenFile) {
  const metadata = new grpc.Metadata();
  metadata.set("istio_sds_credentials_header-bin", Buffer.from(read(tokenFile)));
  const stream = client.StreamSecrets(metadata, { deadline: Date.now() + 60_000 });
  stream.write({ resource_names: ["default", "ROOTCA"], type_url: SECRET });
  return stream;
}

function tell(resource) {
  const secret = secretType.deserialize(resource.value);
  if (secret.tls_certificate) {
    const chain = secret.tls_certificate.certificate_chain.inline_bytes.toString();
    say({ secret: secret.name, chain, key: secret.tls_certificate.private_key.inline_bytes.length > 0 });
    return chain;
  }
  say({ secret: secret.name, roots: secret.validation_context.trusted_ca.inline_bytes.toString() });
  return null;
}

function refused() {
  const stream = open(badTokenFile);
  stream.on("data", () => say({ refused: null }));
  stream.on("error", (error) => {
    say({ refused: grpc.status[error.code], message: error.details });
    client.close();
  });
}

// Health has a proto of its own in every ecosystem; these are its two messages by hand.
function health(then) {
  const none = () => Buffer.alloc(0);
  const status = (bytes) => ["UNKNOWN", "SERVING", "NOT_SERVING"][bytes[1]];
  client.makeUnaryRequest("/grpc.health.v1.Health/Check", none, status, {}, (error, answer) => {
    say({ health: error ? error.details : answer });
    then();
  });
}

const chains = new Set();
health(() => {
  const stream = open(tokenFile);
  stream.on("data", (response) => {
    response.resources.map(tell).filter(Boolean).forEach((chain) => chains.add(chain));
    const { version_info, nonce } = response;
    stream.write({ version_info, response_nonce: nonce, resource_names: ["default", "ROOTCA"], type_url: SECRET });
    if (chains.size === 2) stream.cancel();
  });
  stream.on("error", (error) => {
    if (error.code === grpc.status.CANCELLED) return refused();
    say({ broken: grpc.status[error.code], message: error.details });
    process.exitCode = 1;
  });
});
