// Package blobtest runs a test on every implementation of blob.Store: files,
// and an S3 server inside the test process.
//
// For tests only.
package blobtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"commsd/internal/blob"
)

// Secret is the secret of the URLs that S3 returns: nothing but the URL itself
// may hold it.
const Secret = "hush/hush+hush"

// Each runs fn as the subtests "files" and "s3", each on an empty store.
func Each(t *testing.T, fn func(t *testing.T, store blob.Store)) {
	t.Helper()
	t.Run("files", func(t *testing.T) { fn(t, Open(t, blob.Config{DataDir: t.TempDir()})) })
	t.Run("s3", func(t *testing.T) { fn(t, Open(t, blob.Config{URL: S3(t)})) })
}

// Open opens the store of cfg.
func Open(t testing.TB, cfg blob.Config) blob.Store {
	t.Helper()
	store, err := blob.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// S3 starts an S3 server with an empty bucket, which ends with the test, and
// returns its blobs.url.
func S3(t testing.TB) string {
	t.Helper()
	return S3Behind(t, func(h http.Handler) http.Handler { return h })
}

// S3Behind is S3 with a handler in front, which may fail requests.
func S3Behind(t testing.TB, front func(http.Handler) http.Handler) string {
	t.Helper()
	memory := s3mem.New()
	if err := memory.CreateBucket("commsd"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(front(gofakes3.New(memory).Server()))
	t.Cleanup(server.Close)
	u := url.URL{Scheme: "s3", User: url.UserPassword("key", Secret), Host: server.Listener.Addr().String(),
		Path: "/commsd", RawQuery: "insecure=true"}
	return u.String()
}
