package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"commsd/internal/blob"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
	"commsd/mail/mime"
)

// Message is what is written once: where the bytes are and what they hold.
type Message struct {
	ID          string
	Envelope    mime.Envelope
	Root        *mime.Part // offsets count from the end of the trace
	TraceSize   int64
	BodySize    int64
	Preview     string
	Attachments int
	Draft       string // JSON of the web client's draft, or ""

	trace []byte
	body  []byte // nil: in the blob
	ref   blob.Ref
}

// Size is the size of the whole message.
func (m *Message) Size() int64 { return m.TraceSize + m.BodySize }

const coldColumns = `m.id, m.trace, m.body, m.blob_agency, m.blob_sha256, m.body_size, m.envelope, m.structure, m.preview, m.attachments, m.draft`

func scanMessage(row interface{ Scan(...any) error }) (*Message, error) {
	m := &Message{ref: blob.Ref{Namespace: Namespace}}
	var envelope, structure string
	if err := row.Scan(&m.ID, &m.trace, &m.body, &m.ref.Agency, &m.ref.SHA256, &m.BodySize, &envelope, &structure, &m.Preview, &m.Attachments, &m.Draft); err != nil {
		return nil, err
	}
	m.TraceSize, m.ref.Size = int64(len(m.trace)), m.BodySize
	if err := json.Unmarshal([]byte(envelope), &m.Envelope); err != nil {
		return nil, fmt.Errorf("store: envelope of %s: %w", m.ID, err)
	}
	m.Root = &mime.Part{}
	if err := json.Unmarshal([]byte(structure), m.Root); err != nil {
		return nil, fmt.Errorf("store: structure of %s: %w", m.ID, err)
	}
	return m, nil
}

// Messages reads messages by the ids of their rows. Those that have gone
// meanwhile are missing from the answer.
func (s *Store) Messages(ctx context.Context, id ID, ids []string) (map[string]*Message, error) {
	out := map[string]*Message{}
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(out)
		for part := range slices.Chunk(ids, 100) {
			args := []any{string(id)}
			var marks []string
			for i, m := range part {
				args = append(args, m)
				marks = append(marks, fmt.Sprintf("$%d", i+2))
			}
			if err := readMessages(ctx, tx, out, strings.Join(marks, ","), args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: read messages: %w", err)
	}
	return out, nil
}

func readMessages(ctx context.Context, tx *sqldb.Tx, into map[string]*Message, marks string, args []any) error {
	rows, err := tx.Query(ctx, `SELECT `+coldColumns+` FROM mail_message m WHERE m.store_id = $1 AND m.id IN (`+marks+`)`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		m, err := scanMessage(rows)
		if err != nil {
			return err
		}
		into[m.ID] = m
	}
	return rows.Err()
}

var errNoMessage = errcode.New(errcode.NotFound, "no such message")

// Message reads one message of a store and its rows (one for each mailbox that
// holds it).
func (s *Store) Message(ctx context.Context, id ID, message string) (*Message, []Row, error) {
	var m *Message
	var in []Row
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if m, err = scanMessage(tx.QueryRow(ctx, `SELECT `+coldColumns+` FROM mail_message m WHERE m.store_id = $1 AND m.id = $2`, string(id), message)); err != nil {
			return noRows(err, errNoMessage, "read message")
		}
		in, err = queryRows(ctx, tx, placesQuery, message)
		return err
	})
	if err == nil && len(in) == 0 {
		err = errNoMessage
	}
	return m, in, err
}

// IsOthers tells whether there is a message of that id in another store than id.
func (s *Store) IsOthers(ctx context.Context, id ID, message string) (bool, error) {
	var others bool
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM mail_message WHERE id = $1 AND store_id <> $2)`, message, string(id)).Scan(&others)
	})
	return others, err
}

// Bytes gives out ranges of a message as it is stored.
type Bytes struct {
	trace []byte
	body  io.ReadSeekCloser
	size  int64
}

// OpenBytes opens the bytes of m: trace and body. The caller closes them.
func (s *Store) OpenBytes(ctx context.Context, m *Message) (*Bytes, error) {
	b := &Bytes{trace: m.trace, size: m.Size()}
	if m.ref.SHA256 == "" {
		b.body = memory{bytes.NewReader(m.body)}
		return b, nil
	}
	f, err := s.blobs.Open(ctx, m.ref)
	if err != nil {
		return nil, fmt.Errorf("store: open bytes of %s: %w", m.ID, err)
	}
	b.body = f
	return b, nil
}

// Close closes the bytes. They were only read: nothing can be lost by an error.
func (b *Bytes) Close() { _ = b.body.Close() }

// Section returns a reader of n bytes from off, counted over the whole message;
// less where the message ends before. The next call ends the reader.
func (b *Bytes) Section(off, n int64) (io.Reader, error) {
	off = min(max(off, 0), b.size)
	n = min(max(n, 0), b.size-off)
	var parts []io.Reader
	if t := int64(len(b.trace)); off < t {
		k := min(n, t-off)
		parts = append(parts, bytes.NewReader(b.trace[off:off+k]))
		off, n = off+k, n-k
	}
	if n > 0 {
		if _, err := b.body.Seek(off-int64(len(b.trace)), io.SeekStart); err != nil {
			return nil, fmt.Errorf("store: read bytes: %w", err)
		}
		parts = append(parts, io.LimitReader(b.body, n))
	}
	return io.MultiReader(parts...), nil
}

// PartBody returns a reader of the encoded content of a part of the message.
func (b *Bytes) PartBody(p *mime.Part) (io.Reader, error) {
	return b.Section(int64(len(b.trace))+p.BodyStart, p.BodyEnd-p.BodyStart)
}

// Entry is a message in a list.
type Entry struct {
	Row
	Envelope    mime.Envelope
	Preview     string
	Attachments int
	Draft       bool
}

// Cursor is a place in a list that is sorted by date, newest first.
type Cursor struct {
	Date int64 // microseconds
	UID  uint32
}

// List reads up to limit messages of a mailbox, newest first, after a cursor
// (nil: from the newest). query, if any, is looked for in subject, addresses,
// file names and the beginning of the text, without regard to marks.
func (s *Store) List(ctx context.Context, box Mailbox, after *Cursor, limit int, query string) (entries []Entry, more bool, err error) {
	text, args := listQuery(box.ID, after, limit, query)
	err = s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		entries = nil
		rows, err := tx.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e Entry
			var envelope, draft string
			if e.Row, err = scanRow(rows, &envelope, &e.Preview, &e.Attachments, &draft); err != nil {
				return err
			}
			e.Draft = draft != ""
			if err := json.Unmarshal([]byte(envelope), &e.Envelope); err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, false, fmt.Errorf("store: list messages: %w", err)
	}
	if len(entries) > limit {
		return entries[:limit], true, nil
	}
	return entries, false, nil
}

func listQuery(mailbox string, after *Cursor, limit int, query string) (string, []any) {
	args := []any{mailbox}
	where := `h.mailbox_id = $1`
	if after != nil {
		args = append(args, after.Date, int64(after.UID))
		where += ` AND (h.internal_date < $2 OR (h.internal_date = $2 AND h.uid < $3))`
	}
	for _, w := range strings.Fields(fold.String(query)) {
		args = append(args, "%"+likeEscaper.Replace(w)+"%")
		where += fmt.Sprintf(` AND m.search LIKE $%d ESCAPE '!'`, len(args))
		if len(args) > 12 {
			break
		}
	}
	args = append(args, limit+1)
	return `SELECT h.mailbox_id, h.uid, h.message_id, h.flags, h.keywords, h.internal_date, h.size, h.modseq,
			m.envelope, m.preview, m.attachments, m.draft
		FROM mail_mailbox_message h JOIN mail_message m ON m.id = h.message_id
		WHERE ` + where + fmt.Sprintf(` ORDER BY h.internal_date DESC, h.uid DESC LIMIT $%d`, len(args)), args
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// OpenBlob opens bytes that another table of mail refers to.
func (s *Store) OpenBlob(ctx context.Context, ref blob.Ref) (io.ReadSeekCloser, error) {
	f, err := s.blobs.Open(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("store: open blob: %w", err)
	}
	return f, nil
}
