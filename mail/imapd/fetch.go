package imapd

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/mail/mime"
	"commsd/mail/store"
)

// Fetch gives out messages, from the stored structure and bytes.
func (s *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, options *imap.FetchOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	b := s.box
	uids, err := b.resolve(set)
	if err != nil {
		return err
	}
	if len(options.BinarySection) > 0 || len(options.BinarySectionSize) > 0 {
		return bad("BINARY is not offered")
	}
	reads := slices.ContainsFunc(options.BodySection, func(b *imap.FetchItemBodySection) bool { return !b.Peek })
	for part := range slices.Chunk(uids, 100) {
		if err := s.fetchSome(w, part, options, reads && !b.readOnly); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) fetchSome(w *imapserver.FetchWriter, uids []uint32, options *imap.FetchOptions, seen bool) error {
	ctx, cancel := s.op()
	defer cancel()
	st := s.server.cfg.Store
	var rows []store.Row
	var err error
	if seen {
		rows, err = st.SetFlags(ctx, s.box.mailbox, uids, store.FlagsAdd, store.Seen, nil)
	} else {
		rows, err = st.Rows(ctx, s.box.mailbox, uids)
	}
	if err != nil {
		return s.answer("FETCH", err)
	}
	var cold map[string]*store.Message // nil: not asked for
	if options.Envelope || options.BodyStructure != nil || len(options.BodySection) > 0 {
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.Message)
		}
		if cold, err = st.Messages(ctx, s.store, ids); err != nil {
			return s.answer("FETCH", err)
		}
	}
	for _, row := range rows {
		seq := s.box.place(row.UID)
		m := cold[row.Message]
		if seq == 0 || cold != nil && m == nil {
			continue // it went meanwhile; the client is told in time
		}
		if err := s.fetchOne(ctx, w, seq, row, m, options, seen && row.ModSeq > s.box.modseq); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) fetchOne(ctx context.Context, w *imapserver.FetchWriter, seq uint32, row store.Row, m *store.Message, options *imap.FetchOptions, newFlags bool) error {
	var b *store.Bytes
	if len(options.BodySection) > 0 {
		var err error
		if b, err = s.server.cfg.Store.OpenBytes(ctx, m); err != nil {
			return s.answer("FETCH", err)
		}
		defer b.Close()
	}
	r := w.CreateMessage(seq)
	if options.UID {
		r.WriteUID(imap.UID(row.UID))
	}
	if options.Flags || newFlags {
		r.WriteFlags(flagsOf(row))
	}
	if options.InternalDate {
		r.WriteInternalDate(row.Date)
	}
	if options.RFC822Size {
		r.WriteRFC822Size(row.Size)
	}
	if options.Envelope {
		r.WriteEnvelope(envelope(&m.Envelope))
	}
	if options.BodyStructure != nil {
		r.WriteBodyStructure(structure(m.Root))
	}
	for _, section := range options.BodySection {
		if err := writeSection(r, m, b, section); err != nil {
			// The literal's length is out already: nothing sensible can follow.
			_ = s.conn.NetConn().Close()
			_ = r.Close()
			return err
		}
	}
	return r.Close()
}

func writeSection(r *imapserver.FetchResponseWriter, m *store.Message, b *store.Bytes, section *imap.FetchItemBodySection) error {
	off, n := place(m, section)
	var src io.Reader = strings.NewReader("")
	var err error
	if n > 0 {
		if src, err = b.Section(off, n); err != nil {
			return err
		}
	}
	if len(section.HeaderFields) > 0 || len(section.HeaderFieldsNot) > 0 {
		block, err := io.ReadAll(io.LimitReader(src, 1<<20))
		if err != nil {
			return err
		}
		block = filterHeader(block, section)
		src, n = bytes.NewReader(block), int64(len(block))
	}
	if p := section.Partial; p != nil {
		skip := min(max(p.Offset, 0), n)
		if _, err := io.CopyN(io.Discard, src, skip); err != nil {
			return err
		}
		n = min(max(p.Size, 0), n-skip)
		src = io.LimitReader(src, n)
	}
	out := r.WriteBodySection(section, n)
	_, err = io.Copy(out, src)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}

// place finds where a section is in the whole message (RFC 9051, section 6.4.5).
func place(m *store.Message, s *imap.FetchItemBodySection) (off, n int64) {
	span := func(from, to int64) (int64, int64) { return m.TraceSize + from, to - from }
	if len(s.Part) == 0 {
		switch s.Specifier {
		case imap.PartSpecifierHeader, imap.PartSpecifierMIME:
			return 0, m.TraceSize + m.Root.BodyStart
		case imap.PartSpecifierText:
			return span(m.Root.BodyStart, m.BodySize)
		case imap.PartSpecifierNone:
		}
		return 0, m.Size()
	}
	p := m.Root.Find(s.Part)
	if p == nil {
		return 0, 0
	}
	switch s.Specifier {
	case imap.PartSpecifierMIME:
		return span(p.HeaderStart, p.BodyStart)
	case imap.PartSpecifierHeader, imap.PartSpecifierText:
		if p.Message == nil {
			return 0, 0
		}
		if s.Specifier == imap.PartSpecifierHeader {
			return span(p.Message.HeaderStart, p.Message.BodyStart)
		}
		return span(p.Message.BodyStart, p.BodyEnd)
	case imap.PartSpecifierNone:
	}
	return span(p.BodyStart, p.BodyEnd)
}

// filterHeader keeps the named fields, or all but those, as they are written.
func filterHeader(block []byte, s *imap.FetchItemBodySection) []byte {
	names, not := s.HeaderFields, false
	if len(names) == 0 {
		names, not = s.HeaderFieldsNot, true
	}
	var out []byte
	keep := false
	for len(block) > 0 {
		i := bytes.IndexByte(block, '\n') + 1
		if i == 0 {
			i = len(block)
		}
		line := block[:i]
		block = block[i:]
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			keep = slices.ContainsFunc(names, func(n string) bool {
				return strings.EqualFold(n, string(bytes.TrimSpace(name)))
			}) != not
		}
		if keep {
			out = append(out, line...)
		}
	}
	return append(out, '\r', '\n')
}

func envelope(e *mime.Envelope) *imap.Envelope {
	return &imap.Envelope{
		Date: e.Date, Subject: e.Subject, From: addresses(e.From), Sender: addresses(e.Sender), ReplyTo: addresses(e.ReplyTo),
		To: addresses(e.To), Cc: addresses(e.Cc), Bcc: addresses(e.Bcc), InReplyTo: e.InReplyTo, MessageID: e.MessageID,
	}
}

func addresses(in []mime.Address) []imap.Address {
	var out []imap.Address
	for _, a := range in {
		if a.Mailbox != "" && a.Host != "" {
			out = append(out, imap.Address{Name: a.Name, Mailbox: a.Mailbox, Host: a.Host})
		}
	}
	return out
}

func structure(p *mime.Part) imap.BodyStructure {
	var disposition *imap.BodyStructureDisposition
	if p.Disposition != "" {
		disposition = &imap.BodyStructureDisposition{Value: p.Disposition, Params: p.DispParams}
	}
	if len(p.Children) > 0 {
		multi := &imap.BodyStructureMultiPart{Subtype: p.Subtype, Extended: &imap.BodyStructureMultiPartExt{
			Params: p.Params, Disposition: disposition, Language: p.Language, Location: p.Location,
		}}
		for _, c := range p.Children {
			multi.Children = append(multi.Children, structure(c))
		}
		return multi
	}
	one := &imap.BodyStructureSinglePart{
		Type: p.Type, Subtype: p.Subtype, Params: p.Params, ID: p.ID, Description: p.Description, Encoding: p.Encoding,
		Size:     uint32(min(p.BodyEnd-p.BodyStart, 1<<32-1)), // bounded
		Extended: &imap.BodyStructureSinglePartExt{Disposition: disposition, Language: p.Language, Location: p.Location},
	}
	switch {
	case p.Message != nil:
		e := &mime.Envelope{}
		if p.Message.Envelope != nil {
			e = p.Message.Envelope
		}
		one.Type, one.Subtype = "message", "rfc822"
		one.MessageRFC822 = &imap.BodyStructureMessageRFC822{Envelope: envelope(e), BodyStructure: structure(p.Message), NumLines: p.Lines}
	case p.Is("message/rfc822") || p.Type == "multipart":
		one.Type, one.Subtype = "application", "octet-stream" // not looked into; clients expect more of a message
	case p.Type == "text":
		one.Text = &imap.BodyStructureText{NumLines: p.Lines}
	}
	return one
}
