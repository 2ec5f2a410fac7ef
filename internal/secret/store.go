package secret

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// sealVersion is the first byte of a sealed secret: 1, a nonce of 24 bytes,
// the ciphertext and tag of XChaCha20-Poly1305.
const sealVersion = 1

// maxSecret bounds a secret, so that nobody uses the table for something else.
const maxSecret = 16 << 10

// Store reads and makes secrets. Its methods may be called from many goroutines.
type Store struct {
	db  *sqldb.DB
	key *Key
}

// New returns a Store of db, sealed with key.
func New(db *sqldb.DB, key *Key) *Store { return &Store{db: db, key: key} }

// CheckKey refuses a key that was made a moment ago beside a database whose
// secrets were sealed with another: the file is missing, and the new one, which
// opens nothing, is removed again before a backup can take it for the right one.
// The error is errcode.Invalid and names secret_key_file.
func (s *Store) CheckKey(ctx context.Context) error {
	if !s.key.made {
		return nil
	}
	var sealed bool
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM secret_store)`).Scan(&sealed)
	})
	if err != nil || !sealed {
		return err
	}
	if err := os.Remove(s.key.path); err != nil {
		return fmt.Errorf("secret: remove a key that opens nothing: %w", err)
	}
	return errcode.New(errcode.Invalid, "secret_key_file: %s is missing, and the secrets in the database are sealed with it: restore it from the backup", s.key.path)
}

// Get returns the secret of that name, such as "turn.secret". Where there is
// none it stores what generate returns; when several nodes do so at once, all of
// them return the one that was stored first. The caller owns the bytes. It
// must not be called inside a transaction.
//
// A secret that the key does not open gives an errcode.Invalid error that
// names secret_key_file.
func (s *Store) Get(ctx context.Context, name string, generate func() ([]byte, error)) ([]byte, error) {
	if name == "" {
		return nil, errors.New("secret: a secret needs a name")
	}
	value, err := s.read(ctx, name)
	if !errors.Is(err, sql.ErrNoRows) {
		return value, err
	}
	value, err = generate()
	if err != nil {
		return nil, fmt.Errorf("secret: make %s: %w", name, err)
	}
	if len(value) == 0 || len(value) > maxSecret {
		return nil, fmt.Errorf("secret: %s has %d bytes, want 1 to %d", name, len(value), maxSecret)
	}
	sealed, err := s.key.seal(name, value)
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO secret_store (name, sealed, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO NOTHING`, name, sealed, time.Now().UnixMicro())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("secret: store %s: %w", name, err)
	}
	return s.read(ctx, name)
}

func (s *Store) read(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT sealed FROM secret_store WHERE name = $1`, name).Scan(&sealed)
	})
	if err != nil {
		return nil, fmt.Errorf("secret: read %s: %w", name, err)
	}
	value, err := s.key.open(name, sealed)
	if err != nil {
		return nil, s.notOurs(err)
	}
	return value, nil
}

// Peek returns a secret by a transaction of the caller's, for programs that look
// at an installation without changing it: it makes neither the secret nor the
// key file at path.
func Peek(ctx context.Context, tx *sqldb.Tx, path, name string) ([]byte, error) {
	text, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	k := &Key{path: path}
	if err := k.parse(text); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	var sealed []byte
	if err := tx.QueryRow(ctx, `SELECT sealed FROM secret_store WHERE name = $1`, name).Scan(&sealed); err != nil {
		return nil, fmt.Errorf("secret: read %s: %w", name, err)
	}
	return k.open(name, sealed)
}

func (s *Store) notOurs(err error) error {
	return errcode.Wrap(err, errcode.Invalid,
		"secret_key_file: %s does not open the secrets of this database: restore the key file that belongs to it (every node needs the same)", s.key.path)
}

// Seal encrypts a secret that its domain keeps in a table of its own. The name,
// such as "directory.totp/<account>", is authenticated with it, so that one
// secret cannot be put in another's place.
func (s *Store) Seal(name string, value []byte) ([]byte, error) {
	if len(value) == 0 || len(value) > maxSecret {
		return nil, fmt.Errorf("secret: %s has %d bytes, want 1 to %d", name, len(value), maxSecret)
	}
	return s.key.seal(name, value)
}

// Open is the inverse of Seal. A secret that the key does not open gives an
// errcode.Invalid error that names secret_key_file, as Get does.
func (s *Store) Open(name string, sealed []byte) ([]byte, error) {
	value, err := s.key.open(name, sealed)
	if err != nil {
		return nil, s.notOurs(err)
	}
	return value, nil
}

// seal encrypts value. The name is authenticated with it, so that one secret
// cannot be put in another's place.
func (k *Key) seal(name string, value []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(k.bytes[:])
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(value)+aead.Overhead())
	sealed[0] = sealVersion
	if _, err := rand.Read(sealed[1:]); err != nil {
		return nil, err
	}
	return aead.Seal(sealed, sealed[1:], value, []byte(name)), nil
}

func (k *Key) open(name string, sealed []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(k.bytes[:])
	if err != nil {
		return nil, err
	}
	head := 1 + aead.NonceSize()
	if len(sealed) < head+aead.Overhead() || sealed[0] != sealVersion {
		return nil, fmt.Errorf("secret: %s is not sealed in a way this version knows", name)
	}
	value, err := aead.Open(nil, sealed[1:head], sealed[head:], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("secret: open %s: %w", name, err)
	}
	return value, nil
}
