// Package secret keeps the secrets that the server makes for itself (signing
// keys, shared secrets of its parts) in the database, sealed with one key that
// lies in a file beside it, so that all nodes share them, tokens outlive a
// restart, and a copy of the database alone gives nothing away.
//
// It does not know what the secrets are for.
package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"commsd/internal/errcode"
)

// A key file is one line: this prefix and the key in base64. The prefix tells
// a key from a file named by mistake.
const keyPrefix = "commsd-secret-key-1:"

// maxKeyFile bounds what is read of a file that may not be a key at all.
const maxKeyFile = 1024

// Key seals and opens secrets. It prints as "secret.Key" so that no log can
// hold it.
type Key struct {
	path  string
	made  bool // by this OpenKey
	bytes [chacha20poly1305.KeySize]byte
}

// String hides the key.
func (*Key) String() string { return "secret.Key" }

// GoString hides the key.
func (*Key) GoString() string { return "secret.Key" }

// OpenKey reads the key file at path, the configuration's secret_key_file, and
// makes one that only its owner can read where there is none; of several
// processes that find none, one makes it and the others read that one. Errors
// are errcode.Invalid, name the key of the configuration and the cure.
func OpenKey(path string) (*Key, error) {
	text, err := readKeyFile(path)
	made := false
	if errors.Is(err, fs.ErrNotExist) {
		makeErr := makeKeyFile(path)
		if made = makeErr == nil; makeErr != nil && !errors.Is(makeErr, fs.ErrExist) {
			return nil, errcode.New(errcode.Invalid, "secret_key_file: cannot make %s (%s): make its folder writable, or name another file", path, cause(makeErr))
		}
		text, err = readKeyFile(path)
	}
	if err != nil {
		var coded *errcode.Error
		if errors.As(err, &coded) {
			return nil, err
		}
		return nil, errcode.New(errcode.Invalid, "secret_key_file: cannot read %s (%s): give the user commsd runs as the right to", path, cause(err))
	}
	key := &Key{path: path, made: made}
	if err := key.parse(text); err != nil {
		return nil, errcode.New(errcode.Invalid, "secret_key_file: %s holds no key of commsd: restore it from the backup, or remove it to have a new one made (sealed secrets are then lost)", path)
	}
	return key, nil
}

// parse reads the text of a key file. Its error says nothing of the text.
func (k *Key) parse(text string) error {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // base64 skips line ends
		return errors.New("no key")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != len(k.bytes) {
		return errors.New("no key")
	}
	copy(k.bytes[:], raw)
	return nil
}

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errcode.New(errcode.Invalid, "secret_key_file: %s is not a file: name one", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", errcode.New(errcode.Invalid, "secret_key_file: others may read %s (its mode is %04o): run chmod 600 %s, and think of the key as known", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	return string(text), err
}

// makeKeyFile writes a new key. The file appears under its name whole and
// durable or not at all; fs.ErrExist means another process was first.
func makeKeyFile(path string) (err error) {
	var raw [chacha20poly1305.KeySize]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".secret-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = fmt.Fprintf(temp, "%s%s\n", keyPrefix, base64.StdEncoding.EncodeToString(raw[:]))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	// A link, unlike a rename, never replaces the key of another process.
	if err := os.Link(temp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause is what the system said, without the path that we name ourselves.
func cause(err error) string {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
