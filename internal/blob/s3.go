package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"commsd/internal/errcode"
)

const (
	// Up to this many bytes wait for their hash in memory, more in a file.
	spoolMemory = 1 << 20
	openTimeout = 15 * time.Second
	s3Retries   = 3
)

// s3 keeps each blob as an object.
type s3 struct {
	client *minio.Client
	bucket string
}

var _ Store = (*s3)(nil)

// s3Form is what a URL must look like.
const s3Form = "s3://KEY:SECRET@host:port/bucket?region=…&insecure=true, special characters in the secret as %XX"

// s3Location is a parsed blobs.url.
type s3Location struct {
	endpoint, bucket, key, secret, region string
	insecure                              bool
}

// parseS3 reads blobs.url. Its error repeats nothing of the URL, which holds a
// secret.
func parseS3(text string) (s3Location, error) {
	form := errcode.New(errcode.Invalid, "blobs.url: cannot be understood: it must read %s, or be empty for files in data_dir", s3Form)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User == nil || u.Fragment != "" {
		return s3Location{}, form
	}
	at := s3Location{endpoint: u.Host, bucket: strings.Trim(u.Path, "/"), key: u.User.Username(), region: "us-east-1"}
	at.secret, _ = u.User.Password()
	if at.bucket == "" || strings.Contains(at.bucket, "/") || at.key == "" || at.secret == "" {
		return s3Location{}, form
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return s3Location{}, form
	}
	for name, values := range query {
		switch name {
		case "region":
			at.region = values[0]
		case "insecure":
			if at.insecure, err = strconv.ParseBool(values[0]); err != nil {
				return s3Location{}, errcode.New(errcode.Invalid, "blobs.url: insecure must be true (plain http) or false (https)")
			}
		default:
			return s3Location{}, errcode.New(errcode.Invalid, "blobs.url: has a parameter that is neither region nor insecure: remove it")
		}
	}
	return at, nil
}

func openS3(ctx context.Context, cfg Config) (*s3, error) {
	at, err := parseS3(cfg.URL)
	if err != nil {
		return nil, err
	}
	transport, err := minio.DefaultTransport(!at.insecure)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	client, err := minio.New(at.endpoint, &minio.Options{
		Creds:      credentials.NewStaticV4(at.key, at.secret, ""),
		Secure:     !at.insecure,
		Region:     at.region,
		Transport:  transport,
		MaxRetries: s3Retries,
		// The bucket in the path works with every server, in the host name
		// only where its DNS has been set up for it.
		BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return nil, errcode.New(errcode.Invalid, "blobs.url: cannot be used (%s): it must read %s", cause(err), s3Form)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	exists, err := client.BucketExists(ctx, at.bucket)
	switch {
	case err == nil && !exists:
		err = errcode.New(errcode.Invalid, "blobs.url: there is no bucket %q at %s: make it, or correct the name", at.bucket, at.endpoint)
	case err != nil && minio.ToErrorResponse(err).StatusCode == http.StatusForbidden:
		err = errcode.New(errcode.Invalid, "blobs.url: %s refuses this key for bucket %q: correct key and secret, or the bucket's policy", at.endpoint, at.bucket)
	case err != nil:
		err = errcode.New(errcode.Invalid, "blobs.url: the S3 store at %s cannot be reached (%s): start it, or correct the address", at.endpoint, cause(err))
	}
	if err != nil {
		transport.CloseIdleConnections()
		return nil, err
	}
	return &s3{client: client, bucket: at.bucket}, nil
}

// Put implements Store. The object's name is the hash of its bytes, so all of
// them are read before the first is sent.
func (s *s3) Put(ctx context.Context, namespace, agency string, r io.Reader) (Ref, error) {
	if err := checkPlace(namespace, agency); err != nil {
		return Ref{}, err
	}
	spooled := &spool{}
	defer spooled.discard()
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(spooled, hash), contextReader{ctx, r})
	if err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	content, err := spooled.reader()
	if err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	ref := Ref{Namespace: namespace, Agency: agency, SHA256: hexSum(hash.Sum(nil)), Size: size}
	_, err = s.client.PutObject(ctx, s.bucket, ref.path(), content, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream",
		// The client signs a body in chunks, also an empty one, which then has
		// no length that servers agree on.
		DisableContentSha256: size == 0,
	})
	if err != nil {
		return Ref{}, s.fail("put", ref, err)
	}
	return ref, nil
}

// Open implements Store.
func (s *s3) Open(ctx context.Context, ref Ref) (io.ReadSeekCloser, error) {
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	object, err := s.client.GetObject(ctx, s.bucket, ref.path(), minio.GetObjectOptions{})
	if err != nil {
		return nil, s.fail("open", ref, err)
	}
	if _, err := object.Stat(); err != nil { // GetObject itself asks nothing
		_ = object.Close()
		return nil, s.fail("open", ref, err)
	}
	return object, nil
}

// Stat implements Store.
func (s *s3) Stat(ctx context.Context, ref Ref) (int64, error) {
	if err := ref.Validate(); err != nil {
		return 0, err
	}
	info, err := s.client.StatObject(ctx, s.bucket, ref.path(), minio.StatObjectOptions{})
	if err != nil {
		return 0, s.fail("stat", ref, err)
	}
	return info.Size, nil
}

// Delete implements Store.
func (s *s3) Delete(ctx context.Context, ref Ref, before time.Time) (bool, error) {
	if err := ref.Validate(); err != nil {
		return false, err
	}
	info, err := s.client.StatObject(ctx, s.bucket, ref.path(), minio.StatObjectOptions{})
	if err == nil && !info.LastModified.Before(before) {
		return false, nil
	}
	if err == nil {
		err = s.client.RemoveObject(ctx, s.bucket, ref.path(), minio.RemoveObjectOptions{})
	}
	if err == nil {
		return true, nil
	}
	if err = s.fail("delete", ref, err); errcode.Of(err) == errcode.NotFound {
		err = nil
	}
	return false, err
}

// Walk implements Store.
func (s *s3) Walk(ctx context.Context, namespace string, fn func(Ref, time.Time) error) error {
	if err := checkNamespace(namespace); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for object := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: namespace + "/", Recursive: true}) {
		if object.Err != nil {
			return s.fail("walk", Ref{}, object.Err)
		}
		ref, ok := parsePath(object.Key)
		if !ok {
			continue // not ours
		}
		ref.Size = object.Size
		if err := fn(ref, object.LastModified); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fail gives the store's error a code.
func (s *s3) fail(doing string, ref Ref, err error) error {
	said := minio.ToErrorResponse(err)
	switch {
	case said.Code == minio.NoSuchKey, said.StatusCode == http.StatusNotFound && said.Code != minio.NoSuchBucket:
		return notFound(ref)
	case said.StatusCode >= 500, said.Code == "SlowDown":
		return errcode.Wrap(err, errcode.Unavailable, "the file store does not answer; try again in a moment")
	}
	return classify(fmt.Errorf("blob: %s: %w", doing, err))
}

// spool holds what is written to it until its hash is known, in memory while
// it is small, then in a file that has no name any more.
type spool struct {
	memory bytes.Buffer
	file   *os.File
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		file, err := os.CreateTemp("", "commsd-blob-*")
		if err != nil {
			return 0, err
		}
		s.file = file
		if err := os.Remove(file.Name()); err != nil {
			return 0, err
		}
		if _, err := s.memory.WriteTo(file); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

func (s *spool) reader() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory.Bytes()), nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

func (s *spool) discard() {
	if s.file != nil {
		_ = s.file.Close() // it is gone with this
	}
}
