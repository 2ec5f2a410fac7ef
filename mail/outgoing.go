package mail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/mail/intake"
	mailmime "commsd/mail/mime"
	"commsd/mail/route"
	"commsd/mail/store"
	"commsd/mail/submission"
)

// letterBytes bounds the JSON of a message that the page writes; files go up on
// their own.
const letterBytes = 4 << 20

// Letter is what somebody writes at the page.
type Letter struct {
	To         []string `json:"to" maxItems:"500" doc:"addresses, each bare or as Name <address>"`
	Cc         []string `json:"cc,omitempty" maxItems:"500"`
	Bcc        []string `json:"bcc,omitempty" maxItems:"500"`
	Subject    string   `json:"subject" maxLength:"500"`
	Text       string   `json:"text" maxLength:"500000"`
	InReplyTo  string   `json:"in_reply_to,omitempty" doc:"message_id of what is answered" maxLength:"990"`
	References []string `json:"references,omitempty" maxItems:"100"`
	Answers    string   `json:"answers,omitempty" maxLength:"64" doc:"id of the message here that this answers"`
	Uploads    []string `json:"uploads,omitempty" maxItems:"50" doc:"ids of files that were sent up"`
}

// Outgoing is a message that the page sends.
type Outgoing struct {
	Letter
	Draft string         `json:"draft,omitempty" maxLength:"64" doc:"id of the draft that this was; it goes with the sending, and one that is gone already is refused, so that nothing is sent twice"`
	Files []OutgoingFile `json:"files,omitempty" maxItems:"20"`
}

// OutgoingFile is a small file that goes with the message.
type OutgoingFile struct {
	Name    string `json:"name" minLength:"1" maxLength:"255"`
	Content []byte `json:"content" doc:"base64"`
}

type sendIn struct{ Body Outgoing }

type sendOut struct {
	Body struct {
		ID string `json:"id"`
	}
}

func (s *Service) send(ctx context.Context, actor identity.Actor, in *sendIn) (*sendOut, error) {
	own, err := s.cfg.Directory.SenderAddresses(ctx, actor)
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, errcode.New(errcode.Forbidden, "this account has no mail address")
	}
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	if in.Body.Draft != "" {
		// Its files go with it: ask for the draft first, to answer what is the matter.
		if _, _, err := s.store.Message(ctx, id, in.Body.Draft); errcode.Of(err) == errcode.NotFound {
			return nil, store.ErrDraftGone
		} else if err != nil {
			return nil, err
		}
	}
	var to []route.Recipient
	for _, list := range [][]string{in.Body.To, in.Body.Cc, in.Body.Bcc} {
		for _, a := range list {
			_, address := splitAddress(a)
			r, err := s.desk.Resolve(ctx, address)
			if err != nil {
				if c := errcode.Of(err); c == errcode.NotFound || c == errcode.Invalid {
					return nil, errcode.New(errcode.Invalid, "%s: %s", address, errcode.Message(err))
				}
				return nil, err
			}
			to = append(to, r)
		}
	}
	files, err := s.filesOf(ctx, id, &in.Body)
	if err != nil {
		return nil, err
	}
	c := composer{letter: in.Body.Letter, from: mail.Address{Name: actor.Name, Address: own[0]}, now: s.cfg.Now(), files: files}
	if c.names, err = s.namesOf(ctx, actor, to); err != nil {
		return nil, err
	}
	raw := c.message()
	defer raw.Close()
	sent, err := s.desk.Accept(ctx, submission.Submission{
		Actor: actor, From: own[0], To: to, KeepFor: true,
		Trace: intake.Trace{From: "webmail", With: "HTTP"},
		Also: func(ctx context.Context, tx *sqldb.Tx, c *store.Content) error {
			if in.Body.Draft != "" {
				if err := s.store.EndDraftTx(ctx, tx, id, in.Body.Draft); err != nil {
					return err
				}
			}
			return s.store.DeliverTx(ctx, tx, c, []store.Delivery{{Owner: actor.Person, Agency: actor.Agency, Mailbox: store.RoleSent, Flags: store.Seen}})
		},
	}, raw)
	if err != nil {
		return nil, err
	}
	if in.Body.Answers != "" {
		if err := s.store.MarkMessage(ctx, id, in.Body.Answers, store.Answered); err != nil {
			s.cfg.Log.WarnContext(ctx, "a message was answered and could not be marked", "message", in.Body.Answers, "err", err)
		}
	}
	out := &sendOut{}
	out.Body.ID = sent
	return out, nil
}

// namesOf finds the names of recipients whom the sender sees in the directory,
// by address: who hides is not told by their address.
func (s *Service) namesOf(ctx context.Context, actor identity.Actor, to []route.Recipient) (map[string]string, error) {
	var ids []identity.PersonID
	for _, r := range to {
		if r.Local() {
			ids = append(ids, r.Person)
		}
	}
	people, err := s.cfg.Directory.PeopleFor(ctx, actor, ids)
	if err != nil {
		return nil, fmt.Errorf("mail: names of recipients: %w", err)
	}
	names := map[string]string{}
	for _, r := range to {
		if p, ok := people[r.Person]; ok {
			names[r.Address] = p.Name
		}
	}
	return names, nil
}

// outFile is a file on its way into a message.
type outFile struct {
	name, mediaType string
	open            func() (io.ReadCloser, error)
}

// filesOf gathers the files of a message and refuses more than it may hold.
func (s *Service) filesOf(ctx context.Context, id store.ID, m *Outgoing) ([]outFile, error) {
	var out []outFile
	var size int64
	for _, f := range m.Files {
		size += int64(len(f.Content))
		out = append(out, outFile{name: store.FileName(f.Name), mediaType: "application/octet-stream", open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(string(f.Content))), nil
		}})
	}
	uploads, err := s.store.Uploads(ctx, id, m.Uploads)
	if err != nil {
		return nil, err
	}
	for _, u := range uploads {
		size += u.Size
		out = append(out, outFile{name: u.Name, mediaType: u.Type, open: func() (io.ReadCloser, error) { return s.store.OpenUpload(ctx, u) }})
	}
	if size > s.uploadLimit() {
		return nil, errcode.New(errcode.TooLarge, "the files of one message may have %d bytes together", s.uploadLimit())
	}
	return out, nil
}

// splitAddress parts "Name <address>"; a bare address has no name.
func splitAddress(s string) (name, address string) {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
		return strings.Trim(strings.TrimSpace(s[:i]), `"`), strings.TrimSpace(s[i+1 : len(s)-1])
	}
	return "", s
}

// composer writes a message.
type composer struct {
	letter Letter
	from   mail.Address
	names  map[string]string // of the directory's people, by address
	now    time.Time
	files  []outFile
	draft  bool // Bcc stands in it, and addresses that are none yet are left out
}

func one(s string) string { return strings.Join(strings.Fields(mailmime.Clean(s)), " ") }

// boundary parts the files: base64 has no "_", so no line of a part is one.
const boundary = "commsd_part"

// message is read once, and closed.
func (c *composer) message() io.ReadCloser {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	from := mail.Address{Name: one(c.from.Name), Address: c.from.Address}
	line("From: %s", from.String())
	for _, f := range []struct {
		name string
		list []string
		hide bool
	}{{"To", c.letter.To, false}, {"Cc", c.letter.Cc, false}, {"Bcc", c.letter.Bcc, !c.draft}} {
		if list := c.addresses(f.list); len(list) > 0 && !f.hide {
			line("%s: %s", f.name, strings.Join(list, ",\r\n\t"))
		}
	}
	// Encoded words are parted by a space; one a line keeps lines short.
	line("Subject: %s", strings.ReplaceAll(mime.BEncoding.Encode("utf-8", one(c.letter.Subject)), "?= =?", "?=\r\n =?"))
	line("Date: %s", c.now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	if answered := reference(c.letter.InReplyTo); answered != "" {
		line("In-Reply-To: %s", answered)
		var refs []string
		for _, r := range c.letter.References {
			if r = reference(r); r != "" && r != answered {
				refs = append(refs, r)
			}
		}
		line("References: %s", strings.Join(append(refs, answered), "\r\n\t"))
	}
	line("MIME-Version: 1.0")
	if len(c.files) > 0 {
		line("Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s", boundary, boundary)
	}
	line("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n")
	text := strings.ReplaceAll(mailmime.Clean(c.letter.Text), "\r\n", "\n")
	text = strings.NewReplacer("\r", "\r\n", "\n", "\r\n").Replace(text)

	out := &pieces{}
	out.add(b.String())
	out.list = append(out.list, func() (io.ReadCloser, error) { return io.NopCloser(&base64Lines{from: strings.NewReader(text)}), nil })
	for _, f := range c.files {
		out.add("--" + boundary + "\r\n" + fileHeader(f))
		out.list = append(out.list, func() (io.ReadCloser, error) {
			content, err := f.open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{&base64Lines{from: content}, content}, nil
		})
	}
	if len(c.files) > 0 {
		out.add("--" + boundary + "--\r\n")
	}
	return out
}

// addresses writes an address list, a directory's person under the name that
// stands there.
func (c *composer) addresses(in []string) []string {
	var out []string
	for _, a := range in {
		name, address := splitAddress(a)
		normal, err := route.Normalise(address)
		if err != nil {
			continue // recipients of what is sent were checked before
		}
		if known := c.names[normal]; known != "" {
			name = known
		}
		entry := mail.Address{Name: one(name), Address: normal}
		if text := entry.String(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// reference writes a message id; "" for what is none.
func reference(id string) string {
	if id = one(id); id == "" || strings.ContainsAny(id, "<> ") {
		return ""
	}
	return "<" + id + ">"
}

// fileHeader names the file twice: as RFC 2231 has it, and as older programs
// read it.
func fileHeader(f outFile) string {
	old := mime.BEncoding.Encode("utf-8", strings.NewReplacer(`"`, "'", `\`, "_").Replace(f.name))
	mediaType, _, err := mime.ParseMediaType(f.mediaType)
	if err != nil || !strings.Contains(mediaType, "/") || strings.HasPrefix(mediaType, "multipart/") || strings.HasPrefix(mediaType, "message/") {
		mediaType = "application/octet-stream"
	}
	return "Content-Type: " + mediaType + ";\r\n name=\"" + strings.ReplaceAll(old, "?= =?", "?=\r\n =?") + "\"\r\n" +
		"Content-Disposition: " + strings.ReplaceAll(mime.FormatMediaType("attachment", map[string]string{"filename": f.name}), "; ", ";\r\n ") + "\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n"
}

// pieces reads one thing after the other and opens each when its turn comes.
type pieces struct {
	list []func() (io.ReadCloser, error)
	cur  io.ReadCloser
}

func (p *pieces) add(text string) {
	p.list = append(p.list, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil })
}

func (p *pieces) Read(b []byte) (int, error) {
	for {
		if p.cur == nil {
			if len(p.list) == 0 {
				return 0, io.EOF
			}
			next, err := p.list[0]()
			if err != nil {
				return 0, err
			}
			p.cur, p.list = next, p.list[1:]
		}
		n, err := p.cur.Read(b)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		err = p.Close()
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes what is open.
func (p *pieces) Close() error {
	if p.cur == nil {
		return nil
	}
	cur := p.cur
	p.cur = nil
	return cur.Close()
}

// base64Lines reads as the base64 of from in lines of 76.
type base64Lines struct {
	from io.Reader
	out  []byte
	done bool
}

func (e *base64Lines) Read(b []byte) (int, error) {
	for len(e.out) == 0 {
		if e.done {
			return 0, io.EOF
		}
		var raw [57 * 256]byte // whole lines
		n, err := io.ReadFull(e.from, raw[:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			e.done = true
		} else if err != nil {
			return 0, err
		}
		for rest := range slices.Chunk(raw[:n], 57) {
			e.out = append(base64.StdEncoding.AppendEncode(e.out, rest), "\r\n"...)
		}
	}
	n := copy(b, e.out)
	e.out = e.out[n:]
	return n, nil
}
