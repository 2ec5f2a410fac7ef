package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"commsd/audit"
	"commsd/directory/permission"
	"commsd/directory/portrait"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// maxPhotoBytes bounds a picture as it is sent.
const maxPhotoBytes = 2 << 20

// Photo is a person's picture as it is kept: small, square, without what the
// camera wrote about place and time.
type Photo struct {
	Hash      string // SHA-256 of Bytes, in hex
	MediaType string
	Bytes     []byte
}

func photoURL(person identity.PersonID, hash string) string {
	if hash == "" {
		return ""
	}
	return "/api/v1/directory/people/" + url.PathEscape(string(person)) + "/photo?v=" + hash
}

// SetPhoto makes actor's picture of a JPEG, PNG or WebP file and returns its
// hash. errcode.Invalid for what is none, errcode.TooLarge for one that is too
// large to be looked at.
func (s *Service) SetPhoto(ctx context.Context, actor identity.Actor, file []byte) (string, error) {
	if err := s.permitProfile(ctx, actor); err != nil {
		return "", err
	}
	small, err := s.shrink(ctx, file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(small)
	hash := hex.EncodeToString(sum[:])
	return hash, s.writePhoto(ctx, actor, hash, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO directory_photos (person_id, media_type, bytes) VALUES ($1, 'image/jpeg', $2)
			ON CONFLICT (person_id) DO UPDATE SET media_type = excluded.media_type, bytes = excluded.bytes`, string(actor.Person), small)
		return err
	})
}

// RemovePhoto takes actor's picture away; none is no error.
func (s *Service) RemovePhoto(ctx context.Context, actor identity.Actor) error {
	if err := s.permitProfile(ctx, actor); err != nil {
		return err
	}
	return s.writePhoto(ctx, actor, "", func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM directory_photos WHERE person_id = $1`, string(actor.Person))
		return err
	})
}

func (s *Service) writePhoto(ctx context.Context, actor identity.Actor, hash string, fn func(context.Context, *sqldb.Tx) error) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if err := one(tx.Exec(ctx, `UPDATE directory_people SET photo = $1, updated_at = $2 WHERE id = $3`, hash, s.now().UnixMicro(), string(actor.Person))); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Actor: actor, Action: permission.PersonProfile, Outcome: audit.OK,
			Object: identity.ObjectRef{Kind: "person", ID: string(actor.Person)}, Detail: map[string]string{"photo": "changed"}})
	})
	if err != nil {
		return fmt.Errorf("directory: picture of %s: %w", actor.Person, err)
	}
	return nil
}

// Photo returns a person's picture; errcode.NotFound where there is none that
// actor may see.
func (s *Service) Photo(ctx context.Context, actor identity.Actor, person identity.PersonID) (Photo, error) {
	e, err := s.Entry(ctx, actor, person)
	if err != nil {
		return Photo{}, err
	}
	if e.Photo == "" && actor.Person != person {
		return Photo{}, errcode.New(errcode.NotFound, "there is no picture of this person")
	}
	var p Photo
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT p.photo, f.media_type, f.bytes FROM directory_people p JOIN directory_photos f ON f.person_id = p.id
			WHERE p.id = $1`, string(person)).Scan(&p.Hash, &p.MediaType, &p.Bytes)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Photo{}, errcode.New(errcode.NotFound, "there is no picture of this person")
	}
	if err != nil {
		return Photo{}, fmt.Errorf("directory: picture of %s: %w", person, err)
	}
	return p, nil
}

// shrink makes a picture small, one at a time: decoding takes a hundred
// megabytes at the most.
func (s *Service) shrink(ctx context.Context, file []byte) ([]byte, error) {
	select {
	case s.shrinking <- struct{}{}:
		defer func() { <-s.shrinking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("directory: wait to shrink a picture: %w", ctx.Err())
	}
	return portrait.Small(file)
}
