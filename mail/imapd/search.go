package imapd

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/internal/fold"
	"commsd/mail/mime"
	"commsd/mail/store"
)

// searchBytes is how much of one message's text is looked through.
const searchBytes = 1 << 20

// Search finds messages. Text is compared without case and marks.
func (s *session) Search(kind imapserver.NumKind, c *imap.SearchCriteria, options *imap.SearchOptions) (*imap.SearchData, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if options.ReturnSave {
		return nil, bad("SEARCHRES is not offered")
	}
	if terms(c) > s.server.cfg.MaxSearchWords {
		return nil, bad("too many words to look for in one search")
	}
	var found []uint32
	for part := range slices.Chunk(s.box.uids, 200) {
		hits, err := s.searchSome(part, c)
		if err != nil {
			return nil, s.answer("SEARCH", err)
		}
		found = append(found, hits...)
	}
	data := &imap.SearchData{Count: uint32(len(found))} // UIDs are 32 bits
	var seqs imap.SeqSet
	var uids imap.UIDSet
	for i, uid := range found {
		n := uid
		if kind == imapserver.NumKindSeq {
			n = s.box.place(uid)
		}
		seqs.AddNum(n)
		uids.AddNum(imap.UID(n))
		if i == 0 {
			data.Min = n
		}
		data.Max = n
	}
	data.All = seqs
	if kind == imapserver.NumKindUID {
		data.All = uids
	}
	return data, nil
}

func (s *session) searchSome(uids []uint32, c *imap.SearchCriteria) ([]uint32, error) {
	ctx, cancel := s.op()
	defer cancel()
	rows, err := s.server.cfg.Store.Rows(ctx, s.box.mailbox, uids)
	if err != nil {
		return nil, err
	}
	cold := map[string]*store.Message{}
	if cold, err = s.coldFor(ctx, rows, c, cold); err != nil {
		return nil, err
	}
	var out []uint32
	for _, row := range rows {
		h := &hit{s: s, ctx: ctx, row: row, cold: cold[row.Message]}
		ok, err := h.matches(c, 0)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, row.UID)
		}
	}
	return out, nil
}

func (s *session) coldFor(ctx context.Context, rows []store.Row, c *imap.SearchCriteria, none map[string]*store.Message) (map[string]*store.Message, error) {
	if !needsCold(c) {
		return none, nil
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.Message)
	}
	return s.server.cfg.Store.Messages(ctx, s.store, ids)
}

func needsCold(c *imap.SearchCriteria) bool {
	if len(c.Header)+len(c.Body)+len(c.Text) > 0 || !c.SentSince.IsZero() || !c.SentBefore.IsZero() {
		return true
	}
	for i := range c.Not {
		if needsCold(&c.Not[i]) {
			return true
		}
	}
	for i := range c.Or {
		if needsCold(&c.Or[i][0]) || needsCold(&c.Or[i][1]) {
			return true
		}
	}
	return false
}

// terms counts the words that c looks for in texts.
func terms(c *imap.SearchCriteria) int {
	n := len(c.Header) + len(c.Body) + len(c.Text)
	for i := range c.Not {
		n += terms(&c.Not[i])
	}
	for i := range c.Or {
		n += terms(&c.Or[i][0]) + terms(&c.Or[i][1])
	}
	return n
}

// hit is one message under a search.
type hit struct {
	s    *session
	ctx  context.Context // the command's
	row  store.Row
	cold *store.Message

	text, header       string // folded, once read
	hasText, hasHeader bool
}

func (h *hit) matches(c *imap.SearchCriteria, depth int) (bool, error) {
	if depth > 20 {
		return false, bad("the search nests too deep")
	}
	if err := h.ctx.Err(); err != nil {
		return false, err // its time is over, or its account was revoked
	}
	if needsCold(c) && h.cold == nil {
		return false, nil // it went meanwhile
	}
	if !h.matchesRow(c) {
		return false, nil
	}
	if ok, err := h.matchesText(c); !ok || err != nil {
		return false, err
	}
	for i := range c.Not {
		if ok, err := h.matches(&c.Not[i], depth+1); ok || err != nil {
			return false, err
		}
	}
	for i := range c.Or {
		a, err := h.matches(&c.Or[i][0], depth+1)
		if err != nil {
			return false, err
		}
		b, err := h.matches(&c.Or[i][1], depth+1)
		if err != nil || !a && !b {
			return false, err
		}
	}
	return true, nil
}

func (h *hit) matchesRow(c *imap.SearchCriteria) bool {
	for _, set := range c.SeqNum {
		if !h.s.box.names(set, h.row.UID) {
			return false
		}
	}
	for _, set := range c.UID {
		if !h.s.box.names(set, h.row.UID) {
			return false
		}
	}
	has := func(f imap.Flag) bool {
		return slices.ContainsFunc(flagsOf(h.row), func(o imap.Flag) bool { return strings.EqualFold(string(o), string(f)) })
	}
	for _, f := range c.Flag {
		if !has(f) {
			return false
		}
	}
	if slices.ContainsFunc(c.NotFlag, has) {
		return false
	}
	return within(h.row.Date, c.Since, c.Before) && (c.Larger == 0 || h.row.Size > c.Larger) && (c.Smaller == 0 || h.row.Size < c.Smaller)
}

// within compares dates without regard to time and zone (RFC 9051, section 6.4.4).
func within(t, since, before time.Time) bool {
	day := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return (since.IsZero() || !day(t).Before(day(since))) && (before.IsZero() || day(t).Before(day(before)))
}

func (h *hit) matchesText(c *imap.SearchCriteria) (bool, error) {
	if !c.SentSince.IsZero() || !c.SentBefore.IsZero() {
		if h.cold.Envelope.Date.IsZero() || !within(h.cold.Envelope.Date, c.SentSince, c.SentBefore) {
			return false, nil
		}
	}
	if len(c.Header)+len(c.Text) > 0 {
		if err := h.readHeader(); err != nil {
			return false, err
		}
	}
	for _, f := range c.Header {
		if !headerHas(h.header, f.Key, f.Value) {
			return false, nil
		}
	}
	if len(c.Body)+len(c.Text) > 0 {
		if err := h.readText(); err != nil {
			return false, err
		}
	}
	for _, w := range c.Body {
		if !strings.Contains(h.text, fold.String(w)) {
			return false, nil
		}
	}
	for _, w := range c.Text {
		if !strings.Contains(h.text, fold.String(w)) && !strings.Contains(h.header, fold.String(w)) {
			return false, nil
		}
	}
	return true, nil
}

func headerHas(header, key, value string) bool {
	prefix, value := strings.ToLower(key)+":", fold.String(value)
	for line := range strings.SplitSeq(header, "\n") {
		if strings.HasPrefix(line, prefix) && strings.Contains(line[len(prefix):], value) {
			return true
		}
	}
	return false
}

func (h *hit) readHeader() error {
	if h.hasHeader {
		return nil
	}
	b, err := h.s.server.cfg.Store.OpenBytes(h.ctx, h.cold)
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := b.Section(0, min(h.cold.TraceSize+h.cold.Root.BodyStart, 256<<10))
	if err != nil {
		return err
	}
	block, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, f := range mime.ParseHeader(block) {
		out.WriteString(strings.ToLower(f.Name) + ":" + fold.String(mime.DecodeWords(f.Value)) + "\n")
	}
	h.header, h.hasHeader = out.String(), true
	return nil
}

func (h *hit) readText() error {
	if h.hasText {
		return nil
	}
	b, err := h.s.server.cfg.Store.OpenBytes(h.ctx, h.cold)
	if err != nil {
		return err
	}
	defer b.Close()
	var out strings.Builder
	var failed error
	h.cold.Root.Walk(func(_ []int, p *mime.Part) bool {
		if p.Type != "text" || len(p.Children) > 0 || out.Len() > searchBytes || failed != nil {
			return true
		}
		r, err := b.PartBody(p)
		if err != nil {
			failed = err
			return false
		}
		text, _, err := p.Text(r, searchBytes)
		if err != nil {
			failed = err
			return false
		}
		if p.Subtype == "html" {
			text = mime.HTMLText(strings.NewReader(text), searchBytes)
		}
		out.WriteString(text + "\n")
		return true
	})
	h.text, h.hasText = fold.String(out.String()), true
	return failed
}
