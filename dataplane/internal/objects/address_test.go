package objects

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"flameplane.dev/dataplane/internal/settings"
)

func TestWhereABucketIsAsked(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	for endpoint, want := range map[string]string{
		"":                              "https://acme-audit.s3.eu-central-1.amazonaws.com/gateway/x?",
		"s3.eu-central-1.amazonaws.com": "https://acme-audit.s3.eu-central-1.amazonaws.com/gateway/x?",
		"bucket.vpce-1a2b.s3.eu-central-1.vpce.amazonaws.com": "https://acme-audit.bucket.vpce-1a2b.s3.eu-central-1.vpce.amazonaws.com/gateway/x?",
		"http://object-storage.flameplane-backend.svc:8333":   "http://object-storage.flameplane-backend.svc:8333/acme-audit/gateway/x?",
		"store.example.com": "https://store.example.com/acme-audit/gateway/x?",
	} {
		bucket, err := NewBucket(t.Context(), settings.AuditBucket{Bucket: "acme-audit", Region: "eu-central-1", Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		asked := &s3.PutObjectInput{Bucket: aws.String(bucket.name), Key: aws.String("gateway/x")}
		signed, err := s3.NewPresignClient(bucket.client).PresignPutObject(t.Context(), asked)
		if err != nil || !strings.HasPrefix(signed.URL, want) {
			t.Errorf("%q: %v %v", endpoint, signed, err)
		}
	}
}
