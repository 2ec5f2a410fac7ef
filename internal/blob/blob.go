// Package blob keeps bytes that are too large for SQL, addressed by their
// SHA-256, in files or in an S3 bucket.
//
// Each domain has a namespace of its own in it, divided by agency, and refers
// to its blobs from SQL: Put first, then commit the row with the Ref. What no
// row refers to any more its domain collects itself by Walk and Delete; a Put
// of bytes that are there already renews their time, so that a collector that
// leaves young blobs alone takes none that is about to be referred to.
//
// The package knows no domain and looks at no content.
package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"commsd/internal/errcode"
)

// Ref names a blob.
type Ref struct {
	Namespace string // the domain: lower-case letters, digits, '-' and '_', at most 32
	Agency    string // whose bytes they are: letters, digits, '-' and '_', at most 64
	SHA256    string // 64 lower-case hexadecimal digits
	Size      int64  // bytes; filled in by Put and Walk, not needed to find the blob
}

// Store keeps blobs. Its methods may be called from many goroutines. Every
// error is errcode.Invalid for a Ref that breaks its rules, errcode.NotFound
// where said, errcode.Unavailable for a store that is away or full.
type Store interface {
	// Put keeps all that r yields and is durable when it returns. Putting the
	// same bytes again gives the same Ref. An error of r is returned wrapped,
	// and nothing is kept then.
	Put(ctx context.Context, namespace, agency string, r io.Reader) (Ref, error)
	// Open reads a blob; errcode.NotFound when there is none. ctx must last
	// until the reader is closed.
	Open(ctx context.Context, ref Ref) (io.ReadSeekCloser, error)
	// Stat returns the size of a blob; errcode.NotFound when there is none.
	Stat(ctx context.Context, ref Ref) (size int64, err error)
	// Delete removes a blob whose last Put was earlier than before, and says
	// whether it did; there being none is no error. The time is looked at in
	// the same step, so that a Put since the caller's Walk keeps the blob. (Two
	// processes on one folder, and S3, leave a moment between look and removal.)
	Delete(ctx context.Context, ref Ref, before time.Time) (bool, error)
	// Walk calls fn for every blob of a namespace with the time of its last
	// Put, in no order that matters; it stops at the first error and returns
	// it. Blobs that come and go meanwhile may or may not be seen.
	Walk(ctx context.Context, namespace string, fn func(ref Ref, modTime time.Time) error) error
}

// Config says which store to open.
type Config struct {
	// URL is the key blobs.url:
	// s3://KEY:SECRET@host:port/bucket?region=…&insecure=true, or empty for
	// files in DataDir.
	URL string
	// DataDir is the key data_dir; files lie in its folder blobs.
	DataDir string
	// Log gets warnings; nil discards them.
	Log *slog.Logger
}

// Open returns the store of cfg after a look at whether it can be used. A
// failure is an errcode.Invalid error of one line that names the configuration
// key and the cure.
func Open(ctx context.Context, cfg Config) (Store, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.URL != "" {
		return openS3(ctx, cfg)
	}
	return openFiles(cfg)
}

// Validate says what is wrong with r.
func (r Ref) Validate() error {
	if err := checkPlace(r.Namespace, r.Agency); err != nil {
		return err
	}
	if len(r.SHA256) != 64 || !only(r.SHA256, "0123456789abcdef") {
		return errcode.New(errcode.Invalid, "a blob's name must be 64 lower-case hexadecimal digits")
	}
	return nil
}

// path is the blob's name in a store: "mail/<agency>/ab/cdef…". The two digits
// keep folders small.
func (r Ref) path() string {
	return r.Namespace + "/" + r.Agency + "/" + r.SHA256[:2] + "/" + r.SHA256[2:]
}

// parsePath is the inverse of path. It answers false for what is no blob.
func parsePath(path string) (Ref, bool) {
	part := strings.Split(path, "/")
	if len(part) != 4 || len(part[2]) != 2 {
		return Ref{}, false
	}
	ref := Ref{Namespace: part[0], Agency: part[1], SHA256: part[2] + part[3]}
	return ref, ref.Validate() == nil
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// checkPlace lets nothing through that means something in a path.
func checkPlace(namespace, agency string) error {
	if err := checkNamespace(namespace); err != nil {
		return err
	}
	if agency == "" || len(agency) > 64 || !only(agency, lower+upper+digits+"-_") {
		return errcode.New(errcode.Invalid, "the agency of a blob must be 1 to 64 letters, digits, '-' or '_'")
	}
	return nil
}

func checkNamespace(namespace string) error {
	if namespace == "" || len(namespace) > 32 || !only(namespace, lower+digits+"-_") {
		return errcode.New(errcode.Invalid, "the namespace of a blob must be 1 to 32 lower-case letters, digits, '-' or '_'")
	}
	return nil
}

func only(s, allowed string) bool {
	for _, r := range s {
		if !strings.ContainsRune(allowed, r) {
			return false
		}
	}
	return true
}

func notFound(ref Ref) error {
	return errcode.New(errcode.NotFound, "the stored file %s is not there", ref.SHA256)
}

func hexSum(sum []byte) string { return hex.EncodeToString(sum) }

// classify gives errcode.Unavailable to what passes by itself or by an
// operator's hand.
func classify(err error) error {
	var coded *errcode.Error
	var network net.Error
	switch {
	case err == nil, errors.As(err, &coded), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errcode.Wrap(err, errcode.Unavailable, "the server's disk is full")
	case errors.As(err, &network):
		return errcode.Wrap(err, errcode.Unavailable, "the file store does not answer; try again in a moment")
	}
	return err
}

// cause is what the system said, in one line, without the path that we name
// ourselves.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// contextReader ends a copy when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
