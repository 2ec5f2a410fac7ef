package directory

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"commsd/internal/errcode"
)

// A cursor tells where in a list a page ended. That may be at somebody whom the
// reader does not see, so that a cursor is sealed: the key of a name's order
// tells most of the name.

// newCursorSeal makes what seals cursors, the same on all nodes, of their key
// for app passwords.
func newCursorSeal(key []byte) (cipher.AEAD, error) {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("directory cursors"))
	block, err := aes.NewCipher(m.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("directory: seal of cursors: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("directory: seal of cursors: %w", err)
	}
	return seal, nil
}

// sealCursor writes a place in the list of that name.
func (s *Service) sealCursor(list string, place any) (string, error) {
	text, err := json.Marshal(place)
	if err != nil {
		return "", fmt.Errorf("directory: write a cursor: %w", err)
	}
	nonce := make([]byte, s.cursors.NonceSize())
	if _, err := io.ReadFull(s.cfg.Rand, nonce); err != nil {
		return "", fmt.Errorf("directory: write a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.cursors.Seal(nonce, nonce, text, []byte(list))), nil
}

// openCursor reads what sealCursor wrote for the same list.
func (s *Service) openCursor(list, cursor string, place any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	if n := s.cursors.NonceSize(); err == nil && len(sealed) > n {
		var text []byte
		if text, err = s.cursors.Open(nil, sealed[:n], sealed[n:], []byte(list)); err == nil {
			err = json.Unmarshal(text, place)
		}
		if err == nil {
			return nil
		}
	}
	return errcode.New(errcode.Invalid, "the cursor is not one that this list gave")
}
