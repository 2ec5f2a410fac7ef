package store

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// uploadLife is how long a file that no draft refers to is kept.
const uploadLife = 7 * 24 * time.Hour

// Upload is a file that somebody sent up for a draft.
type Upload struct {
	ID    string
	Draft string // id of the draft's message; "" while none refers to it
	Name  string
	Type  string
	Size  int64 // bytes

	ref blob.Ref
}

var errNoUpload = errcode.New(errcode.NotFound, "no such file")

// AddUpload keeps all that r yields as a file of the store's owner.
func (s *Store) AddUpload(ctx context.Context, id ID, agency identity.AgencyID, name, mediaType string, r io.Reader) (Upload, error) {
	source := &readError{r: r}
	ref, err := s.blobs.Put(ctx, Namespace, blobAgency(agency), source)
	if source.err != nil {
		return Upload{}, source.err
	}
	if err != nil {
		return Upload{}, fmt.Errorf("store: keep upload: %w", err)
	}
	fresh, err := newID()
	if err != nil {
		return Upload{}, err
	}
	u := Upload{ID: fresh, Name: name, Type: mediaType, Size: ref.Size, ref: ref}
	now := s.now()
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO mail_upload (id, store_id, draft_id, name, type, size, blob_agency, blob_sha256, created_at)
			VALUES ($1, $2, '', $3, $4, $5, $6, $7, $8)`, u.ID, string(id), u.Name, u.Type, u.Size, ref.Agency, ref.SHA256, now.UnixMicro())
		return err
	})
	if err != nil {
		return Upload{}, fmt.Errorf("store: note upload: %w", err)
	}
	return u, nil
}

// Uploads reads files by their ids, in their order; errcode.NotFound where one
// of them is not the store's.
func (s *Store) Uploads(ctx context.Context, id ID, ids []string) ([]Upload, error) {
	var out []Upload
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out = nil
		for _, want := range ids {
			u := Upload{ID: want, ref: blob.Ref{Namespace: Namespace}}
			err := tx.QueryRow(ctx, `SELECT draft_id, name, type, size, blob_agency, blob_sha256 FROM mail_upload WHERE id = $1 AND store_id = $2`, want, string(id)).
				Scan(&u.Draft, &u.Name, &u.Type, &u.Size, &u.ref.Agency, &u.ref.SHA256)
			if err != nil {
				return noRows(err, errNoUpload, "read upload")
			}
			u.ref.Size = u.Size
			out = append(out, u)
		}
		return nil
	})
	return out, err
}

// OpenUpload opens a file. The caller closes it.
func (s *Store) OpenUpload(ctx context.Context, u Upload) (io.ReadSeekCloser, error) {
	f, err := s.blobs.Open(ctx, u.ref)
	if err != nil {
		return nil, fmt.Errorf("store: open upload: %w", err)
	}
	return f, nil
}

// RemoveUpload forgets a file. There being none is no error.
func (s *Store) RemoveUpload(ctx context.Context, id ID, upload string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM mail_upload WHERE id = $1 AND store_id = $2`, upload, string(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("store: remove upload: %w", err)
	}
	return nil
}

var errNoDraft = errcode.New(errcode.Conflict, "this message is no draft")

// SaveDraft puts c into the drafts as the message of the given id, in the place
// of what the id stood for, wherever that is: the id stays, the UID is a new
// one, as for a mail client that replaces a draft. page is what the web client
// needs beside the message, as JSON; uploads become the draft's own.
func (s *Store) SaveDraft(ctx context.Context, id ID, agency identity.AgencyID, draft, page string, uploads []string, c *Content) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE mail_upload SET draft_id = '' WHERE draft_id = $1 AND store_id = $2`, draft, string(id)); err != nil {
			return fmt.Errorf("store: release uploads: %w", err)
		}
		if _, err := s.takeDraft(ctx, tx, id, draft); err != nil {
			return err
		}
		box, err := findMailbox(ctx, tx, id, "role", string(RoleDrafts))
		if err != nil {
			return err
		}
		if _, err := s.add(ctx, tx, box, c, agency, nil, added{id: draft, flags: Seen | Draft, date: s.now(), draft: page}); err != nil {
			return err
		}
		for _, u := range uploads {
			if _, err := tx.Exec(ctx, `UPDATE mail_upload SET draft_id = $1 WHERE id = $2 AND store_id = $3`, draft, u, string(id)); err != nil {
				return fmt.Errorf("store: take uploads: %w", err)
			}
		}
		return nil
	})
	if sqldb.IsUnique(err) {
		return errNoDraft // the id is another's
	}
	return err
}

// ErrDraftGone says that there is no such draft any more.
var ErrDraftGone = errcode.New(errcode.Gone, "this draft was sent or deleted already")

// EndDraftTx takes a draft away because it is sent; ErrDraftGone where there is
// none, so that of two attempts to send it one fails.
func (s *Store) EndDraftTx(ctx context.Context, tx *sqldb.Tx, id ID, draft string) error {
	there, err := s.takeDraft(ctx, tx, id, draft)
	if err == nil && !there {
		return ErrDraftGone
	}
	return err
}

// takeDraft takes a draft out of every mailbox that holds it.
func (s *Store) takeDraft(ctx context.Context, tx *sqldb.Tx, id ID, draft string) (there bool, err error) {
	if _, _, err := nextModseq(ctx, tx, id); err != nil { // the lock, before the read
		return false, err
	}
	rows, err := queryRows(ctx, tx, `SELECT `+rowColumns+` FROM mail_mailbox_message WHERE message_id = $1 AND store_id = $2 ORDER BY mailbox_id, uid`, draft, string(id))
	if err != nil {
		return false, err
	}
	for _, r := range rows {
		if r.Flags&Draft == 0 {
			return false, errNoDraft
		}
		box, err := findMailbox(ctx, tx, id, "id", r.Mailbox)
		if err != nil {
			return false, err
		}
		if err := s.removeRows(ctx, tx, box, []Row{r}); err != nil {
			return false, err
		}
	}
	return len(rows) > 0, nil
}

// dropUploads forgets the files of drafts among rows that are no more.
func dropUploads(ctx context.Context, tx *sqldb.Tx, rows []Row) error {
	for _, r := range rows {
		if r.Flags&Draft == 0 {
			continue
		}
		_, err := tx.Exec(ctx, `DELETE FROM mail_upload WHERE draft_id = $1 AND NOT EXISTS (SELECT 1 FROM mail_message m WHERE m.id = $1)`, r.Message)
		if err != nil {
			return fmt.Errorf("store: drop uploads: %w", err)
		}
	}
	return nil
}

// MarkMessage adds flags to a message in every mailbox that holds it.
func (s *Store) MarkMessage(ctx context.Context, id ID, message string, flags Flags) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := queryRows(ctx, tx, `SELECT `+rowColumns+` FROM mail_mailbox_message WHERE message_id = $1 AND store_id = $2 ORDER BY mailbox_id, uid`, message, string(id))
		if err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := s.setFlags(ctx, tx, Mailbox{ID: r.Mailbox, Store: id}, []uint32{r.UID}, FlagsAdd, flags, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// FileName makes a name that a file can be saved under out of any text: no path,
// no controls, nothing that has it read as another ("gpj.exe" as "exe.jpg"),
// never empty.
func FileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "")))
	if len(name) > 255 {
		name = strings.ToValidUTF8(name[:255], "")
	}
	if name == "" || name == "." || name == ".." {
		return "attachment"
	}
	return name
}
