package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"time"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/httpapi"
	mailmime "commsd/mail/mime"
	"commsd/mail/store"
)

// FileView is a file that was sent up for a draft.
type FileView struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size" doc:"bytes"`
}

// DraftView is a draft to go on with.
type DraftView struct {
	Letter
	SavedAt time.Time  `json:"saved_at"`
	Foreign bool       `json:"foreign" doc:"a mail client wrote it: its files are parts of the message, to be copied"`
	Files   []FileView `json:"files"`
}

type draftIn struct {
	ID string `path:"id"`
}

type draftOut struct{ Body DraftView }

type saveDraftIn struct {
	ID   string `path:"id" format:"uuid"`
	Body Letter
}

type uploadIn struct {
	ID string `path:"id"`
}

type copyIn struct {
	ID   string `path:"id"`
	Part string `path:"part" maxLength:"400"`
}

type fileOut struct{ Body FileView }

func fileView(u store.Upload) FileView {
	return FileView{ID: u.ID, Name: u.Name, Type: u.Type, Size: u.Size}
}

// uploadLimit is what files may have together so that, as base64, they fit into
// a message.
func (s *Service) uploadLimit() int64 { return s.cfg.MaxMessageBytes / 10 * 7 }

func (s *Service) getDraft(ctx context.Context, actor identity.Actor, in *draftIn) (*draftOut, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	m, rows, err := s.store.Message(ctx, id, in.ID)
	if err != nil {
		return nil, s.refused(ctx, actor, id, in.ID, err)
	}
	if rows[0].Flags&store.Draft == 0 {
		return nil, errcode.New(errcode.NotFound, "this message is no draft")
	}
	out := &draftOut{Body: DraftView{SavedAt: rows[0].Date.UTC(), Files: []FileView{}}}
	if m.Draft == "" {
		return out, s.foreignDraft(ctx, m, &out.Body)
	}
	if err := json.Unmarshal([]byte(m.Draft), &out.Body.Letter); err != nil {
		return nil, fmt.Errorf("mail: draft %s: %w", m.ID, err)
	}
	for _, upload := range out.Body.Uploads {
		files, err := s.store.Uploads(ctx, id, []string{upload})
		if errcode.Of(err) == errcode.NotFound {
			continue // taken away meanwhile at another window
		}
		if err != nil {
			return nil, err
		}
		out.Body.Files = append(out.Body.Files, fileView(files[0]))
	}
	out.Body.Uploads = nil
	return out, nil
}

// foreignDraft reads a draft that a mail client wrote.
func (s *Service) foreignDraft(ctx context.Context, m *store.Message, v *DraftView) error {
	v.Foreign, v.Subject, v.References = true, m.Envelope.Subject, m.Envelope.References
	if len(m.Envelope.InReplyTo) > 0 {
		v.InReplyTo = m.Envelope.InReplyTo[0]
	}
	for _, f := range []struct {
		to   *[]string
		from []mailmime.Address
	}{{&v.To, m.Envelope.To}, {&v.Cc, m.Envelope.Cc}, {&v.Bcc, m.Envelope.Bcc}} {
		*f.to = []string{}
		for _, a := range f.from {
			if address := a.Addr(); address != "" && a.Name != "" {
				*f.to = append(*f.to, a.Name+" <"+address+">")
			} else if address != "" {
				*f.to = append(*f.to, address)
			}
		}
	}
	b, err := s.store.OpenBytes(ctx, m)
	if err != nil {
		return err
	}
	defer b.Close()
	v.Text, _, err = texts(b, m.Root)
	return err
}

func (s *Service) saveDraft(ctx context.Context, actor identity.Actor, in *saveDraftIn) (*struct{}, error) {
	if _, err := uuid.Parse(in.ID); err != nil {
		return nil, errcode.New(errcode.Invalid, "the id of a draft is a UUID")
	}
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	own, err := s.cfg.Directory.SenderAddresses(ctx, actor)
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, errcode.New(errcode.Forbidden, "this account has no mail address")
	}
	if _, err := s.store.Uploads(ctx, id, in.Body.Uploads); err != nil {
		return nil, err
	}
	page, err := json.Marshal(in.Body)
	if err != nil {
		return nil, fmt.Errorf("mail: write draft: %w", err)
	}
	c := composer{letter: in.Body, from: mail.Address{Name: actor.Name, Address: own[0]}, now: s.cfg.Now(), draft: true}
	raw := c.message()
	defer raw.Close()
	content, err := s.store.Ingest(ctx, []identity.AgencyID{actor.Agency}, raw)
	if err != nil {
		return nil, err
	}
	content.Attachments = len(in.Body.Uploads)
	return nil, s.store.SaveDraft(ctx, id, actor.Agency, in.ID, string(page), in.Body.Uploads, content)
}

// upload keeps the body of a request as a file; the query says name and type.
func (s *Service) upload(api *httpapi.API) httpapi.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		actor, err := api.Actor(r)
		if err != nil {
			return err
		}
		id, err := s.open(r.Context(), actor)
		if err != nil {
			return err
		}
		body := http.MaxBytesReader(w, r.Body, s.uploadLimit())
		u, err := s.store.AddUpload(r.Context(), id, actor.Agency, store.FileName(r.URL.Query().Get("name")), mediaType(r.URL.Query().Get("type")), body)
		if err != nil {
			return tooLarge(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(fileView(u)) // the client left
		return nil
	}
}

// tooLarge tells what a file of more than uploadLimit is; other errors stay.
func tooLarge(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errcode.New(errcode.TooLarge, "a file may have %d bytes", large.Limit)
	}
	return err
}

// mediaType takes what a browser says of a file, if it is one.
func mediaType(given string) string {
	t, _, err := mime.ParseMediaType(given)
	if err != nil || len(t) > 100 {
		return "application/octet-stream"
	}
	return t
}

func (s *Service) removeUpload(ctx context.Context, actor identity.Actor, in *uploadIn) (*struct{}, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	return nil, s.store.RemoveUpload(ctx, id, in.ID)
}

// copyPart makes a file out of a part, for what is forwarded.
func (s *Service) copyPart(ctx context.Context, actor identity.Actor, in *copyIn) (*fileOut, error) {
	id, err := s.open(ctx, actor)
	if err != nil {
		return nil, err
	}
	m, _, err := s.store.Message(ctx, id, in.ID)
	if err != nil {
		return nil, s.refused(ctx, actor, id, in.ID, err)
	}
	p, err := partAt(m, in.Part)
	if err != nil {
		return nil, err
	}
	b, err := s.store.OpenBytes(ctx, m)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	body, err := b.PartBody(p)
	if err != nil {
		return nil, err
	}
	whole := http.MaxBytesReader(nil, io.NopCloser(p.DecodeTransfer(body)), s.uploadLimit()) // never a piece of it
	u, err := s.store.AddUpload(ctx, id, actor.Agency, filename(p), mediaType(p.Type+"/"+p.Subtype), whole)
	if err != nil {
		return nil, tooLarge(err)
	}
	return &fileOut{Body: fileView(u)}, nil
}
