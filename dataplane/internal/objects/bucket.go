// Package objects adds to a bucket of S3, or of what speaks like it.
package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"flameplane.dev/dataplane/internal/settings"
)

// Bucket is written to, and never read: that is all that the gateway's role may do.
type Bucket struct {
	client *s3.Client
	name   string
}

// NewBucket finds credentials as AWS's SDKs do; in EKS those of the pod's role, by Pod Identity. An endpoint of AWS is
// asked by the bucket's own host name, any other by path.
func NewBucket(ctx context.Context, where settings.AuditBucket) (*Bucket, error) {
	found, err := config.LoadDefaultConfig(ctx, config.WithRegion(where.Region))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	client := s3.NewFromConfig(found, func(o *s3.Options) {
		if where.Endpoint == "" {
			return
		}
		base := where.URL()
		o.BaseEndpoint = aws.String(base)
		address, err := url.Parse(base)
		o.UsePathStyle = err != nil || !strings.HasSuffix(address.Hostname(), ".amazonaws.com")
	})
	return &Bucket{client, where.Bucket}, nil
}

// Put adds an object, with its SHA-256, which a bucket with Object Lock asks for. It names no encryption, since the
// bucket's policy refuses any but the bucket's own. An object that is there already is left as it is, and counts as added.
func (b *Bucket) Put(ctx context.Context, name string, content []byte) error {
	sum := sha256.Sum256(content)
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(b.name), Key: aws.String(name), Body: bytes.NewReader(content),
		IfNoneMatch:       aws.String("*"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ChecksumSHA256:    aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorCode() == "PreconditionFailed" {
		return nil
	}
	return err
}
