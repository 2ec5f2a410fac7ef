package audit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"commsd/internal/errcode"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

// Checkpoint is a signed head of the tree.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	At     time.Time // when it was signed, by the signer's clock; zero for one from a file
	Note   string    // as it was signed
}

// text is the body that is signed: origin, size, root, each with its newline.
func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// ParseCheckpoint opens a signed head with the key that must have signed it.
// The error is errcode.Invalid.
func ParseCheckpoint(text []byte, key note.Verifier) (Checkpoint, error) {
	n, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return Checkpoint{}, errcode.Wrap(err, errcode.Invalid, "checkpoint: not signed by %s: %s", key.Name(), err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errcode.New(errcode.Invalid, "checkpoint: not three lines of origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, errcode.New(errcode.Invalid, "checkpoint: %q is no size", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, errcode.New(errcode.Invalid, "checkpoint: %q is no hash", lines[2])
	}
	if lines[0] != key.Name() {
		return Checkpoint{}, errcode.New(errcode.Invalid, "checkpoint: its origin %q is not %q", lines[0], key.Name())
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root, Note: string(text)}, nil
}

// keySecret names the signing key in the secret store; its value is the
// signer's text and the verifier's, a line each.
const keySecret = "audit.checkpoint_key"

// keys are what signs and what others check with.
type keys struct {
	signer   note.Signer
	verifier note.Verifier
	public   string // text of the verifier's key
}

// openKeys returns the installation's keys, made at first use. The name of the
// key, which is the origin of all checkpoints, stays with it when the domain of
// the configuration changes.
func openKeys(ctx context.Context, secrets *secret.Store, domain string) (*keys, error) {
	return openKeysWith(ctx, secrets, func() ([]byte, error) {
		private, public, err := note.GenerateKey(rand.Reader, domain+"/audit")
		return []byte(private + "\n" + public + "\n"), err
	})
}

func openKeysWith(ctx context.Context, secrets *secret.Store, generate func() ([]byte, error)) (*keys, error) {
	text, err := secrets.Get(ctx, keySecret, generate)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 3 {
		return nil, errors.New("audit: the signing key is not as it was stored")
	}
	signer, err := note.NewSigner(lines[0])
	if err != nil {
		return nil, fmt.Errorf("audit: the signing key: %w", err)
	}
	verifier, err := note.NewVerifier(lines[1])
	if err != nil {
		return nil, fmt.Errorf("audit: the public key: %w", err)
	}
	return &keys{signer: signer, verifier: verifier, public: lines[1]}, nil
}

// newestCheckpoint reads the newest signed head; nil when there is none.
func newestCheckpoint(ctx context.Context, tx *sqldb.Tx, key note.Verifier) (*Checkpoint, error) {
	var at int64
	var text string
	err := tx.QueryRow(ctx, `SELECT at, note FROM audit_checkpoints ORDER BY size DESC LIMIT 1`).Scan(&at, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // an empty log has none
	}
	if err != nil {
		return nil, fmt.Errorf("audit: read the newest checkpoint: %w", err)
	}
	c, err := ParseCheckpoint([]byte(text), key)
	if err != nil {
		return nil, err
	}
	c.At = time.UnixMicro(at).UTC()
	return &c, nil
}

// sign signs the head of the tree of size leaves, after it has seen that this
// tree continues the one signed before: a log that was rewritten is not
// countersigned.
func (k *keys) sign(ctx context.Context, tx *sqldb.Tx, size int64, at time.Time) (*Checkpoint, error) {
	tree := newTreeReader(ctx, tx)
	root, err := tlog.TreeHash(size, tree)
	if err != nil {
		return nil, fmt.Errorf("audit: head of the tree: %w", err)
	}
	last, err := newestCheckpoint(ctx, tx, k.verifier)
	if err != nil {
		return nil, &tamperedError{err}
	}
	if last != nil && last.Size > 0 {
		if last.Size >= size {
			return nil, &tamperedError{fmt.Errorf("audit: the tree has %d leaves, and a head of %d was signed", size, last.Size)}
		}
		proof, err := tlog.ProveTree(size, last.Size, tree)
		if err == nil {
			err = tlog.CheckTree(proof, size, root, last.Size, last.Root)
		}
		if err != nil {
			return nil, &tamperedError{fmt.Errorf("audit: the tree of %d leaves does not continue the one signed at %d: %w", size, last.Size, err)}
		}
	}
	c := Checkpoint{Origin: k.signer.Name(), Size: size, Root: root, At: at}
	signed, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("audit: sign the head of the tree: %w", err)
	}
	c.Note = string(signed)
	_, err = tx.Exec(ctx, `INSERT INTO audit_checkpoints (size, at, note) VALUES ($1, $2, $3)`, c.Size, at.UnixMicro(), c.Note)
	if err != nil {
		return nil, fmt.Errorf("audit: store a checkpoint: %w", err)
	}
	return &c, nil
}

// tamperedError tells that what is stored cannot have come from the sequencer.
type tamperedError struct{ err error }

func (e *tamperedError) Error() string {
	return "the audit log was changed behind the server's back; run commsd audit verify: " + e.err.Error()
}
func (e *tamperedError) Unwrap() error { return e.err }
