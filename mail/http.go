package mail

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	mailmime "commsd/mail/mime"
	"commsd/mail/store"
)

// MailboxView is a mailbox as the web client sees it.
type MailboxView struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Role   string `json:"role" doc:"inbox, sent, drafts, trash, junk, archive or empty"`
	Total  int64  `json:"total"`
	Unread int64  `json:"unread"`
}

// MailAddress is a name and an address.
type MailAddress struct { //nolint:revive // the name of the schema in OpenAPI
	Name    string `json:"name"`
	Address string `json:"address" doc:"empty where the message gave none that can be read"`
}

// MessageSummary is a message in a list.
type MessageSummary struct {
	ID          string        `json:"id"`
	Mailbox     string        `json:"mailbox"`
	Subject     string        `json:"subject"`
	From        []MailAddress `json:"from"`
	To          []MailAddress `json:"to"`
	ReceivedAt  time.Time     `json:"received_at"`
	Preview     string        `json:"preview"`
	Seen        bool          `json:"seen"`
	Flagged     bool          `json:"flagged"`
	Answered    bool          `json:"answered"`
	Draft       bool          `json:"draft" doc:"not sent yet"`
	Attachments int           `json:"attachments"`
	Size        int64         `json:"size"`
}

// AttachmentView is a part that can be saved.
type AttachmentView struct {
	Part  string `json:"part"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Size  int64  `json:"size" doc:"bytes when saved, near enough"`
	Shown bool   `json:"shown" doc:"a picture that stands in the HTML"`
	URL   string `json:"url"`
}

// MessageView is a whole message.
type MessageView struct {
	MessageSummary
	Cc              []MailAddress    `json:"cc"`
	ReplyTo         []MailAddress    `json:"reply_to"`
	SentAt          *time.Time       `json:"sent_at,omitempty"`
	MessageID       string           `json:"message_id"`
	References      []string         `json:"references"`
	Text            string           `json:"text"`
	HasHTML         bool             `json:"has_html" doc:"there is HTML to show; /html gives it out cleaned, for a frame"`
	RemoteImages    bool             `json:"remote_images" doc:"pictures from other servers were left out"`
	AttachmentParts []AttachmentView `json:"attachment_parts"`
	RawURL          string           `json:"raw_url"`
}

type mailboxesOut struct {
	Body struct {
		Mailboxes []MailboxView `json:"mailboxes"`
	}
}

type listIn struct {
	Mailbox string `path:"mailbox"`
	Cursor  string `query:"cursor" maxLength:"100"`
	Limit   int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Q       string `query:"q" maxLength:"200"`
}

type listOut struct {
	Body struct {
		Messages []MessageSummary `json:"messages"`
		Next     string           `json:"next" doc:"cursor of the next page; empty on the last"`
	}
}

type messageIn struct {
	ID string `path:"id"`
}

type messageOut struct{ Body MessageView }

type changeIn struct {
	Body struct {
		IDs     []string `json:"ids" minItems:"1" maxItems:"200"`
		Seen    *bool    `json:"seen,omitempty"`
		Flagged *bool    `json:"flagged,omitempty"`
		Mailbox string   `json:"mailbox,omitempty" doc:"id of the mailbox to move to"`
		From    string   `json:"from,omitempty" doc:"id of the mailbox they are in; where others hold them too, they stay there as they are"`
		Delete  bool     `json:"delete,omitempty" doc:"move to the trash; what is there already is removed for good"`
	}
}

type summaryOut struct {
	Body struct {
		Unread      int64 `json:"unread"`
		UploadLimit int64 `json:"upload_limit" doc:"bytes that the files of one message may have together"`
	}
}

type heldOut struct {
	Body struct {
		Messages []HeldView `json:"messages"`
	}
}

// HeldView is mail for outside that a demo keeps here.
type HeldView struct {
	ID        string    `json:"id"`
	Subject   string    `json:"subject"`
	To        []string  `json:"to"`
	Size      int64     `json:"size"`
	CreatedAt time.Time `json:"created_at"`
}

// Routes registers the HTTP interface of mail.
func (s *Service) Routes(api *httpapi.API) {
	httpapi.Get(api, "list-mailboxes", "mail", "/api/v1/mail/mailboxes", "List mailboxes", s.listMailboxes)
	httpapi.Get(api, "list-messages", "mail", "/api/v1/mail/mailboxes/{mailbox}/messages", "List or search messages, newest first", s.listMessages)
	httpapi.Get(api, "get-message", "mail", "/api/v1/mail/messages/{id}", "Read a message", s.getMessage)
	httpapi.Register(api, huma.Operation{
		Method: http.MethodPost, OperationID: "change-messages", Tags: []string{"mail"}, Path: "/api/v1/mail/messages/changes",
		Summary: "Mark, move or delete messages", DefaultStatus: http.StatusNoContent,
	}, s.changeMessages)
	httpapi.Register(api, huma.Operation{
		Method: http.MethodPost, OperationID: "send-mail", Tags: []string{"mail"}, Path: "/api/v1/mail/send",
		Summary: "Send a message and keep a copy in Sent", DefaultStatus: http.StatusCreated,
		MaxBodyBytes: letterBytes,
	}, s.send)
	httpapi.Get(api, "get-draft", "mail", "/api/v1/mail/drafts/{id}", "Read a draft to go on with it", s.getDraft)
	httpapi.Register(api, huma.Operation{
		Method: http.MethodPut, OperationID: "save-draft", Tags: []string{"mail"}, Path: "/api/v1/mail/drafts/{id}",
		Summary: "Keep a draft under an id of the client's choice", DefaultStatus: http.StatusNoContent, MaxBodyBytes: letterBytes,
	}, s.saveDraft)
	httpapi.Register(api, huma.Operation{
		Method: http.MethodDelete, OperationID: "remove-upload", Tags: []string{"mail"}, Path: "/api/v1/mail/uploads/{id}",
		Summary: "Forget a file that was sent up", DefaultStatus: http.StatusNoContent,
	}, s.removeUpload)
	httpapi.Register(api, huma.Operation{
		Method: http.MethodPost, OperationID: "copy-part", Tags: []string{"mail"}, Path: "/api/v1/mail/messages/{id}/parts/{part}/copy",
		Summary: "Make a file for a draft out of a part of a message", DefaultStatus: http.StatusCreated,
	}, s.copyPart)
	api.Handle("POST /api/v1/mail/uploads", s.upload(api))
	httpapi.Get(api, "get-mail-summary", "mail", "/api/v1/mail/summary", "Count unread mail", s.summary)
	httpapi.Get(api, "list-held-mail", "mail", "/api/v1/mail/held", "List mail for outside that is held here", s.listHeld)
	api.Handle("GET /api/v1/mail/messages/{id}/raw", s.raw(api))
	api.Handle("GET /api/v1/mail/messages/{id}/html", s.page(api))
	api.Handle("GET /api/v1/mail/messages/{id}/parts/{part}", s.part(api))
}

func (s *Service) open(ctx context.Context, actor identity.Actor) (store.ID, error) {
	return s.store.Open(ctx, actor.Person, actor.Agency)
}

func (s *Service) listMailboxes(ctx context.Context, actor identity.Actor, _ *struct{}) (*mailboxesOut, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	boxes, err := s.store.Mailboxes(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &mailboxesOut{}
	for _, m := range boxes {
		out.Body.Mailboxes = append(out.Body.Mailboxes, MailboxView{ID: m.ID, Name: m.Name, Role: string(m.Role), Total: m.Total, Unread: m.Unseen})
	}
	return out, nil
}

func (s *Service) listMessages(ctx context.Context, actor identity.Actor, in *listIn) (*listOut, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	box, err := s.store.Mailbox(ctx, id, in.Mailbox)
	if err != nil {
		return nil, err
	}
	var after *store.Cursor
	if in.Cursor != "" {
		after = &store.Cursor{}
		if _, err := fmt.Sscanf(in.Cursor, "%d-%d", &after.Date, &after.UID); err != nil {
			return nil, errcode.New(errcode.Invalid, "the cursor is none of ours")
		}
	}
	entries, more, err := s.store.List(ctx, box, after, in.Limit, in.Q)
	if err != nil {
		return nil, err
	}
	out := &listOut{}
	out.Body.Messages = []MessageSummary{}
	for _, e := range entries {
		out.Body.Messages = append(out.Body.Messages, summaryOf(e.Row, e.Envelope, e.Preview, e.Attachments))
	}
	if more {
		last := entries[len(entries)-1]
		out.Body.Next = fmt.Sprintf("%d-%d", last.Date.UnixMicro(), last.UID)
	}
	return out, nil
}

func summaryOf(row store.Row, e mailmime.Envelope, preview string, attachments int) MessageSummary {
	return MessageSummary{
		ID: row.Message, Mailbox: row.Mailbox, Subject: e.Subject, From: views(e.From), To: views(e.To), ReceivedAt: row.Date.UTC(), Preview: preview,
		Seen: row.Flags&store.Seen != 0, Flagged: row.Flags&store.Flagged != 0, Answered: row.Flags&store.Answered != 0, Draft: row.Flags&store.Draft != 0,
		Attachments: attachments, Size: row.Size,
	}
}

func views(in []mailmime.Address) []MailAddress {
	out := []MailAddress{}
	for _, a := range in {
		out = append(out, MailAddress{Name: a.Name, Address: a.Addr()})
	}
	return out
}

func (s *Service) changeMessages(ctx context.Context, actor identity.Actor, in *changeIn) (*struct{}, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	trash, err := s.store.MailboxOf(ctx, id, store.RoleTrash)
	if err != nil {
		return nil, err
	}
	c := store.MessageChange{From: in.Body.From}
	for _, f := range []struct {
		to  *bool
		bit store.Flags
	}{{in.Body.Seen, store.Seen}, {in.Body.Flagged, store.Flagged}} {
		switch {
		case f.to == nil:
		case *f.to:
			c.Set |= f.bit
		default:
			c.Clear |= f.bit
		}
	}
	switch {
	case in.Body.Delete:
		c.MoveTo, c.Erase = &trash, true
	case in.Body.Mailbox != "":
		to, err := s.store.Mailbox(ctx, id, in.Body.Mailbox)
		if err != nil {
			return nil, err
		}
		c.MoveTo = &to
	}
	if err := s.store.ChangeMessages(ctx, id, in.Body.IDs, c); err != nil {
		for _, message := range in.Body.IDs {
			_ = s.refused(ctx, actor, id, message, err) // it is err
		}
		return nil, err
	}
	return nil, nil //nolint:nilnil // 204 has no body
}

func (s *Service) summary(ctx context.Context, actor identity.Actor, _ *struct{}) (*summaryOut, error) {
	out := &summaryOut{}
	out.Body.UploadLimit = s.uploadLimit()
	id, err := s.open(ctx, actor)
	if errcode.Of(err) == errcode.NotFound {
		return out, nil // an account without a mailbox has no unread mail
	}
	if err != nil {
		return nil, err
	}
	box, err := s.store.MailboxOf(ctx, id, store.RoleInbox)
	if err != nil {
		return nil, err
	}
	out.Body.Unread = box.Unseen
	return out, nil
}

func (s *Service) listHeld(ctx context.Context, actor identity.Actor, _ *struct{}) (*heldOut, error) {
	held, err := s.queue.Held(ctx, actor.Person, 100)
	if err != nil {
		return nil, err
	}
	out := &heldOut{}
	out.Body.Messages = []HeldView{}
	for _, h := range held {
		out.Body.Messages = append(out.Body.Messages, HeldView{ID: h.ID, Subject: h.Subject, To: h.To, Size: h.Size, CreatedAt: h.CreatedAt.UTC()})
	}
	return out, nil
}

// raw gives out the stored bytes, to be saved and never to be shown as a page.
func (s *Service) raw(api *httpapi.API) httpapi.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, b, err := s.bytesOf(api, r)
		if err != nil {
			return err
		}
		defer b.Close()
		body, err := b.Section(0, m.Size())
		if err != nil {
			return err
		}
		download(w, "message/rfc822", "message.eml")
		_, _ = io.Copy(w, body) // the client left
		return nil
	}
}

func (s *Service) bytesOf(api *httpapi.API, r *http.Request) (*store.Message, *store.Bytes, error) {
	actor, err := api.Actor(r)
	if err != nil {
		return nil, nil, err
	}
	id, err := s.open(r.Context(), actor)
	if err != nil {
		return nil, nil, err
	}
	m, _, err := s.store.Message(r.Context(), id, r.PathValue("id"))
	if err != nil {
		return nil, nil, s.refused(r.Context(), actor, id, r.PathValue("id"), err)
	}
	s.opened(actor, "letter", m.ID)
	b, err := s.store.OpenBytes(r.Context(), m)
	return m, b, err
}

// shown are the types that a browser may show inside of a message.
var shown = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// part gives out one part, decoded.
func (s *Service) part(api *httpapi.API) httpapi.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, b, err := s.bytesOf(api, r)
		if err != nil {
			return err
		}
		defer b.Close()
		p, err := partAt(m, r.PathValue("part"))
		if err != nil {
			return err
		}
		body, err := b.PartBody(p)
		if err != nil {
			return err
		}
		media := p.Type + "/" + p.Subtype
		if r.URL.Query().Has("inline") && shown[media] {
			w.Header().Set("Content-Type", media)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
			w.Header().Set("Cache-Control", "private, max-age=3600")
		} else {
			download(w, media, filename(p))
		}
		_, _ = io.Copy(w, p.DecodeTransfer(body)) // the client left, or the encoding is broken
		return nil
	}
}

// partAt finds the leaf that section ("1.2") names.
func partAt(m *store.Message, section string) (*mailmime.Part, error) {
	none := errcode.New(errcode.NotFound, "no such part")
	var at []int
	for n := range strings.SplitSeq(section, ".") {
		i, err := strconv.Atoi(n)
		if err != nil || len(at) > 100 {
			return nil, none
		}
		at = append(at, i)
	}
	p := m.Root.Find(at)
	if p == nil || len(p.Children) > 0 {
		return nil, none
	}
	return p, nil
}

func download(w http.ResponseWriter, media, name string) {
	if strings.HasPrefix(media, "text/") || strings.Contains(media, "xml") || strings.Contains(media, "script") {
		media = "application/octet-stream" // nothing that a browser could run
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-store")
}

// filename is the name that a part is saved under: no path, never empty.
func filename(p *mailmime.Part) string {
	name := p.Filename()
	if name == "" && p.Message != nil {
		return "message.eml"
	}
	return store.FileName(name)
}
