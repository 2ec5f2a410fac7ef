package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"commsd/internal/blob"
	"commsd/internal/blob/blobtest"
	"commsd/internal/errcode"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

var ctx = context.Background()

func put(t *testing.T, store blob.Store, agency string, content []byte) blob.Ref {
	t.Helper()
	ref, err := store.Put(ctx, "mail", agency, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func read(t *testing.T, store blob.Store, ref blob.Ref) []byte {
	t.Helper()
	r, err := store.Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// walk returns the refs of a namespace, as "agency/sha256".
func walk(t *testing.T, store blob.Store, namespace string) map[string]blob.Ref {
	t.Helper()
	all := map[string]blob.Ref{}
	err := store.Walk(ctx, namespace, func(ref blob.Ref, at time.Time) error {
		if age := time.Since(at); age < -time.Minute || age > time.Hour {
			t.Errorf("%s was put %s ago", ref.SHA256, age)
		}
		all[ref.Agency+"/"+ref.SHA256] = ref
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBytesComeBack(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17+1) // over what S3 keeps in memory
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		for _, content := range [][]byte{{}, {0}, []byte("Kính gửi"), large} {
			ref := put(t, store, "a1", content)
			sum := sha256.Sum256(content)
			want := blob.Ref{Namespace: "mail", Agency: "a1", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
			if ref != want {
				t.Errorf("got %+v, want %+v", ref, want)
			}
			if got := read(t, store, ref); !bytes.Equal(got, content) {
				t.Errorf("%d bytes came back as %d others", len(content), len(got))
			}
			if size, err := store.Stat(ctx, blob.Ref{Namespace: "mail", Agency: "a1", SHA256: ref.SHA256}); err != nil || size != ref.Size {
				t.Errorf("Stat: %d %v, want %d", size, err, ref.Size)
			}
		}
	})
}

func TestSeek(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		r, err := store.Open(ctx, put(t, store, "a1", []byte("0123456789")))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, c := range []struct {
			offset int64
			whence int
			want   string
		}{{4, io.SeekStart, "45"}, {-2, io.SeekEnd, "89"}, {-5, io.SeekCurrent, "56"}, {0, io.SeekStart, "01"}} {
			if _, err := r.Seek(c.offset, c.whence); err != nil {
				t.Fatal(err)
			}
			two := make([]byte, 2)
			if _, err := io.ReadFull(r, two); err != nil || string(two) != c.want {
				t.Errorf("after Seek(%d, %d): %q %v, want %q", c.offset, c.whence, two, err, c.want)
			}
		}
		if end, err := r.Seek(0, io.SeekEnd); err != nil || end != 10 {
			t.Errorf("the end is at %d (%v)", end, err)
		}
	})
}

func TestAgenciesShareNothing(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		first, second := put(t, store, "a1", []byte("x")), put(t, store, "a2", []byte("x"))
		if again := put(t, store, "a1", []byte("x")); again != first {
			t.Errorf("the same bytes are %+v and %+v", first, again)
		}
		if gone, err := store.Delete(ctx, first, time.Now().Add(time.Hour)); err != nil || !gone {
			t.Fatalf("deleted: %v, %v", gone, err)
		}
		if gone, err := store.Delete(ctx, first, time.Now().Add(time.Hour)); err != nil || gone {
			t.Errorf("deleting what is gone: %v, %v", gone, err)
		}
		if _, err := store.Open(ctx, first); errcode.Of(err) != errcode.NotFound {
			t.Errorf("Open of a deleted blob: %v", err)
		}
		if _, err := store.Stat(ctx, first); errcode.Of(err) != errcode.NotFound {
			t.Errorf("Stat of a deleted blob: %v", err)
		}
		if got := read(t, store, second); string(got) != "x" {
			t.Errorf("the other agency's is %q", got)
		}
	})
}

func TestWalkSeesOneNamespace(t *testing.T) {
	stop := errors.New("enough")
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		if got := walk(t, store, "mail"); len(got) != 0 {
			t.Errorf("an empty store has %v", got)
		}
		want := map[string]blob.Ref{}
		for _, content := range []string{"1", "2", "3"} {
			for _, agency := range []string{"a1", "A_2"} {
				ref := put(t, store, agency, []byte(content))
				want[ref.Agency+"/"+ref.SHA256] = ref
			}
		}
		if _, err := store.Put(ctx, "mailing", "a1", strings.NewReader("other")); err != nil {
			t.Fatal(err)
		}
		got := walk(t, store, "mail")
		if len(got) != len(want) {
			t.Errorf("found %d blobs, want %d", len(got), len(want))
		}
		for name, ref := range want {
			if got[name] != ref {
				t.Errorf("%s: found %+v, want %+v", name, got[name], ref)
			}
		}
		seen := 0
		err := store.Walk(ctx, "mail", func(blob.Ref, time.Time) error { seen++; return stop })
		if !errors.Is(err, stop) || seen != 1 {
			t.Errorf("Walk went on to %d blobs, %v", seen, err)
		}
	})
}

func TestFailedReaderLeavesNothing(t *testing.T) {
	broken := errors.New("the sender went away")
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		_, err := store.Put(ctx, "mail", "a1", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("got %v, want the reader's own error", err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := store.Put(cancelled, "mail", "a1", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Put: %v", err)
		}
		if got := walk(t, store, "mail"); len(got) != 0 {
			t.Errorf("kept %v", got)
		}
	})
}

func TestConcurrentPutsOfTheSameBytes(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 100_000)
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				ref, err := store.Put(ctx, "mail", "a1", bytes.NewReader(content))
				if err != nil {
					t.Error(err)
					return
				}
				if size, err := store.Stat(ctx, ref); err != nil || size != int64(len(content)) {
					t.Errorf("right after Put: %d bytes, %v", size, err)
				}
			})
		}
		all.Wait()
		if got := walk(t, store, "mail"); len(got) != 1 {
			t.Errorf("there are %d blobs", len(got))
		}
	})
}

func TestDeleteLeavesYoungOnes(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		ref := put(t, store, "a1", []byte("x"))
		if gone, err := store.Delete(ctx, ref, time.Now().Add(-time.Minute)); err != nil || gone {
			t.Fatalf("deleted: %v, %v", gone, err)
		}
		if got := read(t, store, ref); string(got) != "x" {
			t.Fatalf("it is %q", got)
		}
	})
}

func TestNamesThatMeanSomethingInAPathAreRefused(t *testing.T) {
	good := blob.Ref{Namespace: "mail", Agency: "a1", SHA256: strings.Repeat("a", 64)}
	var bad []blob.Ref
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a\x00", "a b", "/etc", "é", "a.b", strings.Repeat("a", 65)} {
		namespace, agency, sum := good, good, good
		namespace.Namespace, agency.Agency, sum.SHA256 = name, name, name
		bad = append(bad, namespace, agency, sum)
	}
	capital := good
	capital.SHA256 = strings.Repeat("A", 64)
	bad = append(bad, capital)
	blobtest.Each(t, func(t *testing.T, store blob.Store) {
		for _, ref := range bad {
			_, deleteErr := store.Delete(ctx, ref, time.Now())
			_, openErr := store.Open(ctx, ref)
			_, statErr := store.Stat(ctx, ref)
			var putErr error
			if ref.SHA256 == good.SHA256 {
				_, putErr = store.Put(ctx, ref.Namespace, ref.Agency, strings.NewReader("x"))
			} else {
				putErr = errcode.New(errcode.Invalid, "not tried: Put makes the name")
			}
			for what, err := range map[string]error{"Open": openErr, "Stat": statErr, "Put": putErr, "Delete": deleteErr} {
				if errcode.Of(err) != errcode.Invalid {
					t.Errorf("%s of %+v: %v", what, ref, err)
				}
			}
		}
		if err := store.Walk(ctx, "..", nil); errcode.Of(err) != errcode.Invalid {
			t.Errorf("Walk: %v", err)
		}
	})
}

func TestFilesAreForTheOwnerAloneAndLeaveNoTemporaryOnes(t *testing.T) {
	dir := t.TempDir()
	store := blobtest.Open(t, blob.Config{DataDir: dir})
	ref := put(t, store, "a1", []byte("x"))
	_, _ = store.Put(ctx, "mail", "a1", iotest.ErrReader(errors.New("broken")))
	var found []string
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if !entry.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "/blobs/mail/a1/" + ref.SHA256[:2] + "/" + ref.SHA256[2:]; len(found) != 1 || found[0] != want {
		t.Errorf("the folder holds %v, want %s alone", found, want)
	}
	// What a crash left is swept at the next start, but not what is being written.
	temp := filepath.Join(dir, "blobs", ".incoming")
	for name, age := range map[string]time.Duration{"put-old": 48 * time.Hour, "put-young": 0} {
		path := filepath.Join(temp, name)
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	blobtest.Open(t, blob.Config{DataDir: dir})
	if left, err := os.ReadDir(temp); err != nil || len(left) != 1 || left[0].Name() != "put-young" {
		t.Errorf("after the next start: %v %v", left, err)
	}
}

func TestUnusableStoreNamesKeyAndCure(t *testing.T) {
	good := blobtest.S3(t)
	refusing := blobtest.S3Behind(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		cfg blob.Config
		key string
	}{
		"nobody listens":    {blob.Config{URL: "s3://key:hush-hush@" + free + "/b?insecure=true"}, "blobs.url"},
		"no such bucket":    {blob.Config{URL: strings.Replace(good, "/commsd", "/missing", 1)}, "blobs.url"},
		"refused":           {blob.Config{URL: refusing}, "blobs.url"},
		"other scheme":      {blob.Config{URL: "https://key:hush-hush@" + free + "/b"}, "blobs.url"},
		"no bucket":         {blob.Config{URL: "s3://key:hush-hush@" + free}, "blobs.url"},
		"no secret":         {blob.Config{URL: "s3://hush-hush@" + free + "/b"}, "blobs.url"},
		"unknown parameter": {blob.Config{URL: good + "&hush-hush=1"}, "blobs.url"},
		"bad parameter":     {blob.Config{URL: "s3://key:hush-hush@" + free + "/b?insecure=hush-hush"}, "blobs.url"},
		"no URL at all":     {blob.Config{URL: "s3://key:hush-hush%zz@" + free + "/b"}, "blobs.url"},
		"empty":             {blob.Config{}, "data_dir"},
		"below a file":      {blob.Config{DataDir: file}, "data_dir"},
	} {
		_, err := blob.Open(ctx, c.cfg)
		if errcode.Of(err) != errcode.Invalid || !strings.HasPrefix(errcode.Message(err), c.key+": ") {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if s := err.Error(); strings.Contains(s, "\n") || strings.Contains(s, "hush") {
			t.Errorf("%s: not one line, or with the secret: %q", what, s)
		}
	}
}

func TestS3ThatFailsIsUnavailable(t *testing.T) {
	var down atomic.Bool
	url := blobtest.S3Behind(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	store := blobtest.Open(t, blob.Config{URL: url})
	ref := put(t, store, "a1", []byte("x"))
	down.Store(true)
	_, openErr := store.Open(ctx, ref)
	_, putErr := store.Put(ctx, "mail", "a1", strings.NewReader("y"))
	for what, err := range map[string]error{"Open": openErr, "Put": putErr} {
		if errcode.Of(err) != errcode.Unavailable || strings.Contains(err.Error(), blobtest.Secret) {
			t.Errorf("%s: %v", what, err)
		}
	}
	down.Store(false)
	if got := read(t, store, ref); string(got) != "x" {
		t.Errorf("afterwards it reads %q", got)
	}
}
