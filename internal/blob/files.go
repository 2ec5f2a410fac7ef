package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"commsd/internal/errcode"
)

const (
	filesFolder = "blobs"
	tempFolder  = ".incoming" // beside the namespaces; no namespace has its name
	// Whatever has lain in tempFolder for this long was left by a crash.
	tempAge = 24 * time.Hour
)

// files keeps each blob as a file that appears under its name whole.
type files struct {
	dir string
	log *slog.Logger

	// durable holds the folders whose way down from dir is known to be on
	// disk, not merely in the kernel's memory.
	durable sync.Map

	// naming is held for reading while a file gets its name, and for writing
	// while its time is looked at and its name taken away.
	naming sync.RWMutex
}

var _ Store = (*files)(nil)

func openFiles(cfg Config) (*files, error) {
	if cfg.DataDir == "" {
		return nil, errcode.New(errcode.Invalid, "data_dir: is empty: name a folder, or set blobs.url")
	}
	dir, err := filepath.Abs(filepath.Join(cfg.DataDir, filesFolder))
	if err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: %s", cause(err))
	}
	f := &files{dir: dir, log: cfg.Log}
	if err := os.MkdirAll(f.temp(), 0o700); err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot make the folder %s (%s): make it for the user commsd runs as, or name another data_dir", dir, cause(err))
	}
	probe, err := os.CreateTemp(f.temp(), "probe-*")
	if err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot write to %s (%s): give the user commsd runs as the right to, or name another data_dir", dir, cause(err))
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return nil, errcode.New(errcode.Invalid, "data_dir: cannot write to %s (%s): give the user commsd runs as the right to, or name another data_dir", dir, cause(err))
	}
	for _, d := range []string{f.temp(), dir, filepath.Dir(dir)} {
		if err := syncFolder(d); err != nil {
			return nil, errcode.New(errcode.Invalid, "data_dir: cannot flush %s to disk (%s): use a local disk", d, cause(err))
		}
	}
	f.durable.Store(dir, true)
	f.sweep()
	return f, nil
}

func (f *files) temp() string { return filepath.Join(f.dir, tempFolder) }

func (f *files) name(ref Ref) string { return filepath.Join(f.dir, filepath.FromSlash(ref.path())) }

// sweep removes what crashes have left. Another process may be at work on
// young ones.
func (f *files) sweep() {
	left, err := os.ReadDir(f.temp())
	if err != nil {
		f.log.Warn("cannot look for files that a crash has left", "folder", f.temp(), "err", err)
		return
	}
	for _, entry := range left {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
			_ = os.Remove(filepath.Join(f.temp(), entry.Name())) // next time, then
		}
	}
}

// Put implements Store. The bytes are on disk before they get their name, and
// the name is on disk before Put returns.
func (f *files) Put(ctx context.Context, namespace, agency string, r io.Reader) (_ Ref, err error) {
	if err := checkPlace(namespace, agency); err != nil {
		return Ref{}, err
	}
	temp, err := os.CreateTemp(f.temp(), "put-*") // mode 0600
	if err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	defer func() {
		if err != nil {
			temp.Close()
			_ = os.Remove(temp.Name()) // else sweep does
		}
	}()
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(temp, hash), contextReader{ctx, r})
	if err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	ref := Ref{Namespace: namespace, Agency: agency, SHA256: hexSum(hash.Sum(nil)), Size: size}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	name := f.name(ref)
	folder := filepath.Dir(name)
	if err := f.makeDurable(folder); err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	// Bytes that are there already are replaced by the same ones: that renews
	// their time, and mends a file that has rotted.
	f.naming.RLock()
	err = os.Rename(temp.Name(), name)
	f.naming.RUnlock()
	if err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	if err := syncFolder(folder); err != nil {
		return Ref{}, classify(fmt.Errorf("blob: put: %w", err))
	}
	return ref, nil
}

// makeDurable makes folder and those above it, up to f.dir, each with its name
// on disk. A folder that another has just made may not be there yet, so every
// process flushes each once itself.
func (f *files) makeDurable(folder string) error {
	if _, ok := f.durable.Load(folder); ok {
		return nil
	}
	parent := filepath.Dir(folder)
	if err := f.makeDurable(parent); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncFolder(parent); err != nil {
		return err
	}
	f.durable.Store(folder, true)
	return nil
}

// Open implements Store.
func (f *files) Open(_ context.Context, ref Ref) (io.ReadSeekCloser, error) {
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	file, err := os.Open(f.name(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(ref)
	}
	if err != nil {
		return nil, classify(fmt.Errorf("blob: open: %w", err))
	}
	return file, nil
}

// Stat implements Store.
func (f *files) Stat(_ context.Context, ref Ref) (int64, error) {
	if err := ref.Validate(); err != nil {
		return 0, err
	}
	info, err := os.Stat(f.name(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, notFound(ref)
	}
	if err != nil {
		return 0, classify(fmt.Errorf("blob: stat: %w", err))
	}
	return info.Size(), nil
}

// Delete implements Store. It does not wait for the disk: a blob that a crash
// brings back is collected again.
func (f *files) Delete(_ context.Context, ref Ref, before time.Time) (bool, error) {
	if err := ref.Validate(); err != nil {
		return false, err
	}
	f.naming.Lock()
	defer f.naming.Unlock()
	info, err := os.Stat(f.name(ref))
	if err == nil && !info.ModTime().Before(before) {
		return false, nil
	}
	if err == nil {
		err = os.Remove(f.name(ref))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, classify(fmt.Errorf("blob: delete: %w", err))
	}
	return true, nil
}

// Walk implements Store.
func (f *files) Walk(ctx context.Context, namespace string, fn func(Ref, time.Time) error) error {
	if err := checkNamespace(namespace); err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(f.dir, namespace), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was ever put there, or it went this moment
		}
		if err != nil {
			return classify(fmt.Errorf("blob: walk: %w", err))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		ref, ok := parsePath(filepath.ToSlash(strings.TrimPrefix(path, f.dir+string(filepath.Separator))))
		if !ok {
			return nil // an operator's own file
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return classify(fmt.Errorf("blob: walk: %w", err))
		}
		ref.Size = info.Size()
		return fn(ref, info.ModTime())
	})
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
