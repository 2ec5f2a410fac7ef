package mime

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// longLine is how much of a line the parser keeps; what follows counts, but is
// not looked at. RFC 5322 allows 998.
const longLine = 8 << 10

// keptBytes bounds what the structure of one message holds besides offsets.
const keptBytes = 512 << 10

// Parser reads a message that is written to it piece by piece. It keeps no
// more than one header and one line.
type Parser struct {
	limits Limits
	msg    Message

	// the reader's place
	offset     int64
	lines      int64
	line       []byte // of the current line, at most longLine
	lineStart  int64
	lastCR     bool
	terminated bool  // the current line has a line end
	prevEnd    int64 // where the content of the line before ends, without its line end

	// the entity being read
	stack    []*Part // from the root to the part being read
	inHeader bool
	header   []byte
	parts    int
	budget   int // bytes of parameters and envelopes that may still be kept
	closed   bool
}

// NewParser returns a parser for one message; the zero Limits means
// DefaultLimits.
func NewParser(limits Limits) *Parser {
	if limits == (Limits{}) {
		limits = DefaultLimits
	}
	root := &Part{}
	p := &Parser{limits: limits, stack: []*Part{root}, inHeader: true, parts: 1, budget: keptBytes}
	p.msg.Root = root
	return p
}

// Parse reads a whole message. The only errors are r's.
func Parse(r io.Reader) (*Message, error) {
	p := NewParser(Limits{})
	if _, err := io.Copy(p, r); err != nil {
		return nil, err
	}
	return p.Close(), nil
}

// Write takes the next bytes. It never fails before Close.
func (p *Parser) Write(b []byte) (int, error) {
	if p.closed {
		return 0, errors.New("mime: written to after Close")
	}
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		piece := b
		if i >= 0 {
			piece = b[:i+1]
		}
		b = b[len(piece):]
		p.scanEnds(piece)
		if room := longLine - len(p.line); room > 0 {
			p.line = append(p.line, piece[:min(room, len(piece))]...)
		}
		p.offset += int64(len(piece))
		if i >= 0 {
			p.lines++
			p.endLine(true)
		}
	}
	return n, nil
}

// scanEnds notes line ends that are not CR LF.
func (p *Parser) scanEnds(piece []byte) {
	if p.msg.BareCR && p.msg.BareLF {
		return
	}
	for _, c := range piece {
		switch {
		case c == '\n' && !p.lastCR:
			p.msg.BareLF = true
		case c != '\n' && p.lastCR:
			p.msg.BareCR = true
		}
		p.lastCR = c == '\r'
	}
}

// Close ends the message and returns its structure.
func (p *Parser) Close() *Message {
	if p.closed {
		return &p.msg
	}
	if p.lastCR {
		p.msg.BareCR = true
	}
	if len(p.line) > 0 || p.offset > p.lineStart {
		p.endLine(false)
	}
	p.closed = true
	for p.inHeader { // an embedded message without a header has two to end
		p.endHeader(p.offset)
	}
	for len(p.stack) > 0 {
		p.endPart(p.offset, p.lines)
	}
	p.msg.Size = p.offset
	p.finish(p.msg.Root, 0)
	return &p.msg
}

// endLine handles the line that ends at p.offset.
func (p *Parser) endLine(terminated bool) {
	line := p.line
	long := p.offset-p.lineStart > int64(len(line))
	content := line
	end := p.offset
	if terminated && !long {
		content = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		end = p.lineStart + int64(len(content))
	} else if terminated {
		end = p.offset - 1
	}
	p.terminated = terminated
	p.takeLine(content, long)
	p.line = p.line[:0]
	p.lineStart = p.offset
	p.prevEnd = end
}

func (p *Parser) takeLine(content []byte, long bool) {
	if !long && p.boundaryLine(content) {
		return
	}
	if !p.inHeader {
		return
	}
	if len(content) == 0 && !long {
		p.endHeader(p.offset)
		return
	}
	if room := p.limits.HeaderBytes - len(p.header); room > 0 {
		p.header = append(p.header, content[:min(len(content), room)]...)
		p.header = append(p.header, '\n')
	} else {
		p.msg.Defects = true
	}
}

// boundaryLine tells whether content parts the multiparts being read, and if so
// ends parts and begins the next.
func (p *Parser) boundaryLine(content []byte) bool {
	if len(content) < 3 || content[0] != '-' || content[1] != '-' {
		return false
	}
	// Compared in place: a hostile message has many such lines in many levels.
	rest := bytes.TrimRight(content[2:], " \t")
	for i := len(p.stack) - 1; i >= 0; i-- {
		b := p.stack[i].boundary
		if b == "" || len(rest) < len(b) || string(rest[:len(b)]) != b {
			continue
		}
		after := string(rest[len(b):])
		if after != "" && after != "--" {
			continue
		}
		final := after == "--"
		for p.inHeader {
			p.endHeader(p.lineStart)
		}
		// The line end before a boundary belongs to the boundary (RFC 2046,
		// section 5.1.1), unless the boundary is the first line of the body.
		for len(p.stack) > i+1 {
			top := p.stack[len(p.stack)-1]
			p.endPart(max(p.prevEnd, top.BodyStart), p.linesBefore(top))
		}
		multi := p.stack[i]
		if final {
			multi.boundary = "" // what follows is its epilogue
			return true
		}
		if p.parts >= p.limits.Parts {
			p.msg.Defects = true
			multi.boundary = ""
			return true
		}
		p.parts++
		child := &Part{HeaderStart: p.offset}
		multi.Children = append(multi.Children, child)
		p.stack = append(p.stack, child)
		p.inHeader, p.header = true, p.header[:0]
		return true
	}
	return false
}

// linesBefore counts the line ends of part's body when it ends before the line
// end that belongs to the boundary being read.
func (p *Parser) linesBefore(part *Part) int64 {
	n := p.lines
	if p.offset > p.lineStart && p.terminated {
		n-- // the boundary's own line end
	}
	if p.prevEnd >= part.BodyStart && p.lineStart > part.BodyStart {
		n-- // the line end before it
	}
	return n
}

func (p *Parser) endPart(at, lines int64) {
	top := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	top.BodyEnd = max(at, top.BodyStart)
	top.Lines = max(0, lines-top.startLine)
}

// endHeader makes the part of the header that was read; its body begins at.
func (p *Parser) endHeader(at int64) {
	part := p.stack[len(p.stack)-1]
	p.inHeader = false
	part.BodyStart, part.startLine = at, p.lines
	h := ParseHeader(p.header)
	if part == p.msg.Root {
		p.rootHeader(h)
	}
	part.fill(h, p.limits, len(p.stack) > 1 && p.stack[len(p.stack)-2].Subtype == "digest")
	p.header = p.header[:0]

	boundary := DecodeParam(part.Params, "boundary")
	if part.Envelope != nil {
		*part.Envelope = envelopeOf(h, p.limits)
	}
	p.spend(part)

	switch {
	case part.Type == "multipart":
		if boundary == "" || len(boundary) > 200 || len(p.stack) >= p.limits.Depth {
			p.msg.Defects = true
			return
		}
		part.boundary = strings.TrimRight(boundary, " \t")
	case part.Is("message/rfc822") || part.Is("message/global"):
		if len(p.stack) >= p.limits.Depth || p.parts >= p.limits.Parts || !identity(part.Encoding) {
			return // encoded or too deep: a leaf
		}
		p.parts++
		root := &Part{HeaderStart: at, Envelope: &Envelope{}}
		part.Message = root
		p.stack = append(p.stack, root)
		p.inHeader = true
	}
}

// spend drops what would make the structure larger than it may be.
func (p *Parser) spend(part *Part) {
	cost := len(part.ID) + len(part.Description) + len(part.Location)
	for k, v := range part.Params {
		cost += len(k) + len(v)
	}
	for k, v := range part.DispParams {
		cost += len(k) + len(v)
	}
	if part.Envelope != nil {
		cost += part.Envelope.size()
	}
	if p.budget -= cost; p.budget >= 0 {
		return
	}
	p.msg.Defects = true
	part.Params, part.DispParams, part.ID, part.Description, part.Location = nil, nil, "", "", ""
	if part.Envelope != nil {
		*part.Envelope = Envelope{}
	}
}

func (e *Envelope) size() int {
	n := len(e.Subject) + len(e.MessageID)
	for _, list := range [][]Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		for _, a := range list {
			n += len(a.Name) + len(a.Mailbox) + len(a.Host)
		}
	}
	for _, id := range e.InReplyTo {
		n += len(id)
	}
	for _, id := range e.References {
		n += len(id)
	}
	return n
}

func (p *Parser) rootHeader(h Header) {
	p.msg.Envelope = envelopeOf(h, p.limits)
	p.msg.Received = h.Count("Received")
	p.msg.From = h.Count("From")
	p.msg.Sender = h.Count("Sender")
	p.msg.Date = h.Count("Date")
	p.msg.IDs = h.Count("Message-ID")
}

// finish mends what cannot stand: a multipart without parts becomes a leaf.
func (p *Parser) finish(part *Part, depth int) {
	if part.Type == "multipart" && len(part.Children) == 0 {
		p.msg.Defects = true
		part.Type, part.Subtype = "text", "plain"
		part.Params = nil
	}
	if depth > p.limits.Depth+2 {
		return
	}
	for _, c := range part.Children {
		p.finish(c, depth+1)
	}
	if part.Message != nil {
		p.finish(part.Message, depth+1)
	}
}

// identity tells whether bytes of this encoding stand for themselves.
func identity(encoding string) bool {
	return encoding == "" || encoding == "7bit" || encoding == "8bit" || encoding == "binary"
}
