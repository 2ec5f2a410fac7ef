package mail

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
	"commsd/mail/intake"
	mailmime "commsd/mail/mime"
	"commsd/mail/route"
	"commsd/mail/store"
	"commsd/mail/submission"
)

// shownBytes is how much text of a message the page gets.
const shownBytes = 2 << 20

func (s *Service) getMessage(ctx context.Context, actor identity.Actor, in *messageIn) (*messageOut, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	m, rows, err := s.store.Message(ctx, id, in.ID)
	if err != nil {
		return nil, err
	}
	v := MessageView{
		MessageSummary: summaryOf(rows[0], m.Envelope, m.Preview, m.Attachments),
		Cc:             views(m.Envelope.Cc), ReplyTo: views(m.Envelope.ReplyTo), MessageID: m.Envelope.MessageID,
		References: append([]string{}, m.Envelope.References...), AttachmentParts: []AttachmentView{},
		RawURL: "/api/v1/mail/messages/" + m.ID + "/raw",
	}
	if !m.Envelope.Date.IsZero() {
		at := m.Envelope.Date.UTC()
		v.SentAt = &at
	}
	b, err := s.store.OpenBytes(ctx, m)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if v.Text, err = textOf(b, store.TextPart(m.Root, "text/plain")); err != nil {
		return nil, err
	}
	dirty, err := textOf(b, store.TextPart(m.Root, "text/html"))
	if err != nil {
		return nil, err
	}
	pictures := map[string]string{}
	for _, a := range store.AttachmentParts(m.Root) {
		at := section(a.Path)
		url := "/api/v1/mail/messages/" + m.ID + "/parts/" + at
		if cid := strings.Trim(a.Part.ID, "<> "); cid != "" && shown[a.Part.Type+"/"+a.Part.Subtype] {
			pictures[cid] = url + "?inline"
		}
		v.AttachmentParts = append(v.AttachmentParts, AttachmentView{
			Part: at, Name: filename(a.Part), Type: a.Part.Type + "/" + a.Part.Subtype, Size: a.Part.BodyEnd - a.Part.BodyStart, URL: url,
		})
	}
	if dirty != "" {
		v.HTML, v.RemoteImages = cleanHTML(dirty, pictures, in.Images)
		if v.Text == "" {
			v.Text = mailmime.HTMLText(strings.NewReader(dirty), shownBytes)
		}
	}
	return &messageOut{Body: v}, nil
}

func section(path []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(path), " ", "."), "[]")
}

func textOf(b *store.Bytes, p *mailmime.Part) (string, error) {
	if p == nil {
		return "", nil
	}
	r, err := b.PartBody(p)
	if err != nil {
		return "", err
	}
	text, _, err := p.Text(r, shownBytes)
	return text, err
}

// policy keeps what formats text and nothing that acts. Pictures and links have
// been looked at before; the page shows the result in a frame without scripts.
var policy = func() *bluemonday.Policy {
	p := bluemonday.UGCPolicy()
	p.AllowAttrs("align", "valign", "width", "height", "bgcolor", "cellpadding", "cellspacing", "border", "color").Globally()
	p.AllowElements("font", "center")
	p.AllowStyles("color", "background-color", "font-family", "font-size", "font-style", "font-weight", "text-align", "text-decoration",
		"padding", "margin", "border", "border-collapse", "width", "line-height", "vertical-align").Globally()
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return p
}()

// cleanHTML points pictures of the message at our own addresses, leaves those
// of other servers out unless asked, and removes all that could act.
func cleanHTML(dirty string, pictures map[string]string, remote bool) (clean string, left bool) {
	z := html.NewTokenizer(strings.NewReader(dirty))
	z.SetMaxBuf(1 << 20)
	var out strings.Builder
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		t := z.Token()
		if (kind == html.StartTagToken || kind == html.SelfClosingTagToken) && t.Data == "img" {
			var kept []html.Attribute
			for _, a := range t.Attr {
				if a.Key == "srcset" {
					continue
				}
				if a.Key == "src" {
					src, isRemote := pictureSource(a.Val, pictures)
					if isRemote && !remote {
						left = true
						continue
					}
					a.Val = src
				}
				kept = append(kept, a)
			}
			t.Attr = kept
		}
		out.WriteString(t.String())
	}
	return policy.Sanitize(out.String()), left
}

func pictureSource(src string, pictures map[string]string) (url string, remote bool) {
	if cid, ok := strings.CutPrefix(strings.TrimSpace(src), "cid:"); ok {
		return pictures[cid], false
	}
	return src, true
}

// Outgoing is a message that the page sends.
type Outgoing struct {
	To         []string       `json:"to" maxItems:"500"`
	Cc         []string       `json:"cc,omitempty" maxItems:"500"`
	Bcc        []string       `json:"bcc,omitempty" maxItems:"500"`
	Subject    string         `json:"subject" maxLength:"500"`
	Text       string         `json:"text" maxLength:"500000"`
	InReplyTo  string         `json:"in_reply_to,omitempty" doc:"message_id of what is answered" maxLength:"990"`
	References []string       `json:"references,omitempty" maxItems:"100"`
	Files      []OutgoingFile `json:"files,omitempty" maxItems:"20"`
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
	var to []route.Recipient
	for _, list := range [][]string{in.Body.To, in.Body.Cc, in.Body.Bcc} {
		for _, a := range list {
			r, err := s.desk.Resolve(ctx, a)
			if err != nil {
				if c := errcode.Of(err); c == errcode.NotFound || c == errcode.Invalid {
					return nil, errcode.New(errcode.Invalid, "%s: %s", a, errcode.Message(err))
				}
				return nil, err
			}
			to = append(to, r)
		}
	}
	raw, err := compose(in.Body, actor, own[0], s.cfg.Now())
	if err != nil {
		return nil, err
	}
	id, err := s.desk.Accept(ctx, submission.Submission{
		Actor: actor, From: own[0], To: to, KeepFor: true,
		Trace: intake.Trace{From: "webmail", With: "HTTP"},
		Also: func(ctx context.Context, tx *sqldb.Tx, c *store.Content) error {
			return s.store.DeliverTx(ctx, tx, c, []store.Delivery{{Owner: actor.Person, Agency: actor.Agency, Mailbox: store.RoleSent, Flags: store.Seen}})
		},
	}, raw)
	if err != nil {
		return nil, err
	}
	out := &sendOut{}
	out.Body.ID = id
	return out, nil
}

// compose writes the message. Bcc is never in it.
func compose(m Outgoing, actor identity.Actor, from string, now time.Time) (io.Reader, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	one := func(s string) string { return strings.Join(strings.Fields(mailmime.Clean(s)), " ") }
	line("From: %s <%s>", encodeWord(one(actor.Name)), from)
	for _, f := range []struct {
		name string
		list []string
	}{{"To", m.To}, {"Cc", m.Cc}} {
		var list []string
		for _, a := range f.list {
			normal, err := route.Normalise(a)
			if err != nil {
				return nil, errcode.New(errcode.Invalid, "%s: %s", a, errcode.Message(err))
			}
			list = append(list, "<"+normal+">")
		}
		if len(list) > 0 {
			line("%s: %s", f.name, strings.Join(list, ",\r\n\t"))
		}
	}
	line("Subject: %s", encodeWord(one(m.Subject)))
	line("Date: %s", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	var refs []string
	for _, r := range append(append([]string{}, m.References...), m.InReplyTo) {
		if r = one(r); r != "" && !strings.ContainsAny(r, "<> ") {
			refs = append(refs, "<"+r+">")
		}
	}
	if m.InReplyTo != "" && len(refs) > 0 {
		line("In-Reply-To: %s", refs[len(refs)-1])
		line("References: %s", strings.Join(refs, "\r\n\t"))
	}
	line("MIME-Version: 1.0")
	text := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64Lines([]byte(strings.ReplaceAll(mailmime.Clean(m.Text), "\n", "\r\n")))
	if len(m.Files) == 0 {
		b.WriteString(text)
		return strings.NewReader(b.String()), nil
	}
	// base64 has no "_", so no line of a part can be the boundary.
	const boundary = "commsd_part"
	line("Content-Type: multipart/mixed; boundary=%s", boundary)
	line("")
	b.WriteString("--" + boundary + "\r\n" + text)
	for _, f := range m.Files {
		name := encodeWord(strings.NewReplacer(`"`, "'", `\`, "_", "/", "_").Replace(one(f.Name)))
		line("--%s", boundary)
		line("Content-Type: application/octet-stream")
		line("Content-Disposition: attachment; filename=\"%s\"", name)
		line("Content-Transfer-Encoding: base64")
		line("")
		b.WriteString(base64Lines(f.Content))
	}
	line("--%s--", boundary)
	return strings.NewReader(b.String()), nil
}
