package mail

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"

	"commsd/identity"
	mailmime "commsd/mail/mime"
	"commsd/mail/store"
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
		return nil, s.refused(ctx, actor, id, in.ID, err)
	}
	s.opened(actor, "letter", m.ID)
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
	var dirty string
	if v.Text, dirty, err = texts(b, m.Root); err != nil {
		return nil, err
	}
	for _, a := range store.AttachmentParts(m.Root) {
		v.AttachmentParts = append(v.AttachmentParts, AttachmentView{
			Part: section(a.Path), Name: filename(a.Part), Type: a.Part.Type + "/" + a.Part.Subtype,
			Size: decodedSize(a.Part), Shown: strings.Contains(dirty, "cid:"+strings.Trim(a.Part.ID, "<> ")) && a.Part.ID != "", URL: partURL(m, a.Path),
		})
	}
	if dirty != "" {
		var clean string
		clean, v.RemoteImages = cleanHTML(dirty, picturesOf(m), false)
		v.HasHTML = strings.TrimSpace(clean) != ""
	}
	return &messageOut{Body: v}, nil
}

// texts reads a message's plain text, made of its HTML where it has no other,
// and its HTML as it came.
func texts(b *store.Bytes, root *mailmime.Part) (text, dirty string, err error) {
	if text, err = textOf(b, store.TextPart(root, "text/plain")); err != nil {
		return "", "", err
	}
	if dirty, err = textOf(b, store.TextPart(root, "text/html")); err != nil {
		return "", "", err
	}
	if text == "" && dirty != "" {
		text = mailmime.HTMLText(strings.NewReader(dirty), shownBytes)
	}
	return text, dirty, nil
}

// decodedSize is how many bytes a part is about to be when saved: base64 has 57
// in each line of 78.
func decodedSize(p *mailmime.Part) int64 {
	size := p.BodyEnd - p.BodyStart
	if strings.EqualFold(p.Encoding, "base64") {
		return size * 57 / 78
	}
	return size
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

// Reading a style takes time that grows with the square of its length, so a
// longer one than any program writes goes unread.
const (
	maxStyle  = 2 << 10   // bytes of one style attribute
	maxStyles = 256 << 10 // and of all in a message
)

// cleanHTML points pictures of the message at our own addresses, leaves those
// of other servers out unless asked, and removes all that could act.
func cleanHTML(dirty string, pictures map[string]string, remote bool) (clean string, left bool) {
	z := html.NewTokenizer(strings.NewReader(dirty))
	z.SetMaxBuf(1 << 20)
	var out strings.Builder
	styles := 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		t := z.Token()
		t.Attr = slices.DeleteFunc(t.Attr, func(a html.Attribute) bool {
			if a.Key != "style" {
				return false
			}
			if len(a.Val) > maxStyle || styles+len(a.Val) > maxStyles {
				return true
			}
			styles += len(a.Val)
			return false
		})
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
	if s := strings.ToLower(strings.TrimSpace(src)); !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return "", false // a path would be one of ours
	}
	return src, true
}
