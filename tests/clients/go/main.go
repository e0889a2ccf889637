// SDS by google.golang.org/grpc, with the stubs of Envoy's own control plane library.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"time"

	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	sds "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

var names = []string{"default", "ROOTCA"}

type seen map[string]any

func say(what seen) {
	if err := json.NewEncoder(os.Stdout).Encode(what); err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		say(seen{"broken": status.Code(err).String(), "message": err.Error()})
		os.Exit(1)
	}
	return value
}

func open(ctx context.Context, client sds.SecretDiscoveryServiceClient, tokenFile string) sds.SecretDiscoveryService_StreamSecretsClient {
	token := strings.TrimSpace(string(must(os.ReadFile(tokenFile))))
	ctx = metadata.AppendToOutgoingContext(ctx, "istio_sds_credentials_header-bin", token)
	stream := must(client.StreamSecrets(ctx))
	must(0, stream.Send(&discovery.DiscoveryRequest{ResourceNames: names, TypeUrl: secretType}))
	return stream
}

func main() {
	socket, tokenFile, badTokenFile := os.Args[1], os.Args[2], os.Args[3]
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection := must(grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials())))
	answer := must(health.NewHealthClient(connection).Check(ctx, &health.HealthCheckRequest{}))
	say(seen{"health": answer.Status.String()})

	client := sds.NewSecretDiscoveryServiceClient(connection)
	stream := open(ctx, client, tokenFile)
	for chains := map[string]bool{}; len(chains) < 2; {
		response := must(stream.Recv())
		for _, resource := range response.Resources {
			secret := &tls.Secret{}
			must(0, resource.UnmarshalTo(secret))
			if pair := secret.GetTlsCertificate(); pair != nil {
				chain := string(pair.CertificateChain.GetInlineBytes())
				say(seen{"secret": secret.Name, "chain": chain, "key": len(pair.PrivateKey.GetInlineBytes()) > 0})
				chains[chain] = true
			} else {
				roots := string(secret.GetValidationContext().TrustedCa.GetInlineBytes())
				say(seen{"secret": secret.Name, "roots": roots})
			}
		}
		must(0, stream.Send(&discovery.DiscoveryRequest{
			VersionInfo: response.VersionInfo, ResponseNonce: response.Nonce, ResourceNames: names, TypeUrl: secretType,
		}))
	}

	_, err := open(ctx, client, badTokenFile).Recv()
	say(seen{"refused": status.Code(err).String(), "message": status.Convert(err).Message()})
}
