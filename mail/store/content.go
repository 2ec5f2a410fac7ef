package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/fold"
	"commsd/mail/mime"
)

// How much of a message's text is kept beside it.
const (
	previewBytes = 300
	searchText   = 16 << 10
)

// Content is a message body that is ready to be delivered: small and in memory,
// or durable in a blob of each agency that has a recipient.
type Content struct {
	Message     *mime.Message
	Size        int64
	Preview     string
	Attachments int

	inline []byte
	refs   map[string]blob.Ref // by blobAgency
	search string
}

// Ingest reads a message to its end, works out its structure, and makes its
// bytes durable for the agencies (at least one). What one of checks refuses is
// not kept. Errors of r and of checks pass unwrapped, so that refusals reach
// the caller.
func (s *Store) Ingest(ctx context.Context, agencies []identity.AgencyID, r io.Reader, checks ...func(*mime.Message) error) (*Content, error) {
	source := &judged{r: r, parser: mime.NewParser(mime.Limits{}), checks: checks}
	head, err := io.ReadAll(io.LimitReader(source, InlineLimit+1))
	if err != nil {
		return nil, err
	}
	c := &Content{}
	if len(head) <= InlineLimit {
		c.inline = head
	} else if err := s.putBlobs(ctx, c, agencies, io.MultiReader(bytes.NewReader(head), source)); err != nil {
		return nil, err
	}
	c.Message = source.message
	c.Size = c.Message.Size
	if err := s.describe(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// judged reads a message and, where its end comes, has it checked: a refusal
// comes in the place of the end, so that whoever keeps what is read keeps
// nothing.
type judged struct {
	r       io.Reader
	parser  *mime.Parser
	checks  []func(*mime.Message) error
	message *mime.Message // once the end has come
}

func (j *judged) Read(b []byte) (int, error) {
	n, err := j.r.Read(b)
	if _, err := j.parser.Write(b[:n]); err != nil {
		return n, err
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if j.message == nil {
		j.message = j.parser.Close()
	}
	for _, check := range j.checks {
		if err := check(j.message); err != nil {
			return n, err
		}
	}
	return n, io.EOF
}

// readError keeps the reason why the source of a blob ended early.
type readError struct {
	r   io.Reader
	err error
}

func (e *readError) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		e.err = err
	}
	return n, err
}

func (s *Store) putBlobs(ctx context.Context, c *Content, agencies []identity.AgencyID, r io.Reader) error {
	c.refs = map[string]blob.Ref{}
	source := &readError{r: r}
	var first blob.Ref
	for i, a := range agencies {
		name := blobAgency(a)
		if _, done := c.refs[name]; done {
			continue
		}
		if i == 0 {
			ref, err := s.blobs.Put(ctx, Namespace, name, source)
			if source.err != nil {
				return source.err
			}
			if err != nil {
				return fmt.Errorf("store: keep message: %w", err)
			}
			first, c.refs[name] = ref, ref
			continue
		}
		ref, err := s.copyBlob(ctx, first, name)
		if err != nil {
			return err
		}
		c.refs[name] = ref
	}
	if len(c.refs) == 0 {
		return errors.New("store: a message for no agency")
	}
	return nil
}

// copyBlob gives an agency its own copy: agencies share no bytes.
func (s *Store) copyBlob(ctx context.Context, from blob.Ref, agency string) (blob.Ref, error) {
	f, err := s.blobs.Open(ctx, from)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("store: copy message: %w", err)
	}
	defer f.Close()
	ref, err := s.blobs.Put(ctx, Namespace, agency, f)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("store: copy message: %w", err)
	}
	return ref, nil
}

// Body opens the content for reading. The caller closes it.
func (s *Store) Body(ctx context.Context, c *Content) (io.ReadSeekCloser, error) {
	if c.refs == nil {
		return memory{bytes.NewReader(c.inline)}, nil
	}
	for _, ref := range c.refs {
		return s.blobs.Open(ctx, ref)
	}
	return nil, errors.New("store: content without bytes")
}

// Location says where the content's bytes are, for a table that refers to them:
// inline, or a blob of agency.
func (c *Content) Location(agency identity.AgencyID) (inline []byte, ref blob.Ref, err error) {
	if c.refs == nil {
		return c.inline, blob.Ref{}, nil
	}
	ref, ok := c.refs[blobAgency(agency)]
	if !ok {
		return nil, blob.Ref{}, fmt.Errorf("store: content was not kept for agency %q", agency)
	}
	return nil, ref, nil
}

// memory is a body that is in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// describe works out preview, search text and the number of attachments.
func (s *Store) describe(ctx context.Context, c *Content) error {
	body, err := s.Body(ctx, c)
	if err != nil {
		return fmt.Errorf("store: read message: %w", err)
	}
	defer body.Close()
	text := ""
	if p := TextPart(c.Message.Root, "text/plain"); p != nil {
		text, err = partText(body, p, searchText)
	}
	if p := TextPart(c.Message.Root, "text/html"); err == nil && strings.TrimSpace(text) == "" && p != nil {
		text, err = partText(body, p, 4*searchText)
		text = mime.HTMLText(strings.NewReader(text), searchText)
	}
	if err != nil {
		return fmt.Errorf("store: read message: %w", err)
	}
	c.Preview = cut(strings.Join(strings.Fields(text), " "), previewBytes)
	c.Attachments = len(AttachmentParts(c.Message.Root))

	e := c.Message.Envelope
	var b strings.Builder
	b.WriteString(e.Subject)
	for _, list := range [][]mime.Address{e.From, e.To, e.Cc} {
		for i, a := range list {
			if i == 50 {
				break
			}
			b.WriteString("\n" + a.Name + " " + a.Addr())
		}
	}
	for _, p := range AttachmentParts(c.Message.Root) {
		b.WriteString("\n" + p.Part.Filename())
	}
	c.search = cut(fold.String(b.String()+"\n"+text), 2*searchText)
	return nil
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

func partText(body io.ReadSeeker, p *mime.Part, limit int64) (string, error) {
	if _, err := body.Seek(p.BodyStart, io.SeekStart); err != nil {
		return "", err
	}
	text, _, err := p.Text(io.LimitReader(body, p.BodyEnd-p.BodyStart), limit)
	return text, err
}

// TextPart finds the part of a media type that a reader would be shown: not an
// attachment, and not inside of an embedded message.
func TextPart(root *mime.Part, mediaType string) *mime.Part {
	var found *mime.Part
	root.Walk(func(_ []int, p *mime.Part) bool {
		if found == nil && p.Is(mediaType) && p.Disposition != "attachment" {
			found = p
		}
		return p.Message == nil
	})
	return found
}

// PartAt is a part and the IMAP path that names it.
type PartAt struct {
	Path []int
	Part *mime.Part
}

// AttachmentParts lists the parts that a reader would be offered to save:
// leaves with a file name or marked as attachments, embedded messages, and
// whatever is no text; pictures that the HTML part shows are left in, too, with
// their Content-ID.
func AttachmentParts(root *mime.Part) []PartAt {
	text, html := TextPart(root, "text/plain"), TextPart(root, "text/html")
	var out []PartAt
	root.Walk(func(path []int, p *mime.Part) bool {
		if len(p.Children) > 0 {
			return true
		}
		if p != text && p != html {
			out = append(out, PartAt{Path: path, Part: p})
		}
		return p.Message == nil
	})
	return out
}
