// Package mime reads the structure of messages as they came: where each part's
// header and body begin and end, in bytes from the start, so that a server can
// give out the stored bytes themselves. It decodes header words, parameters,
// addresses, transfer encodings and character sets for people to read.
//
// Every byte it reads is foreign. All it does is bounded (Limits), nothing
// panics, and a message that breaks the rules still has a structure: at the
// least one part that is the whole message.
//
// It must not know storage, accounts or any protocol that carries mail.
//
// RFC 5322 (format), RFC 2045 to 2047 and 2231 (MIME), RFC 6532 (UTF-8 headers).
package mime

import (
	"strings"
	"time"
)

// Limits bound what one message may make the parser do. Content over a limit
// is not lost: the part where the limit was met becomes a leaf.
type Limits struct {
	Depth       int // multiparts and messages within one another
	Parts       int // parts of one message
	HeaderBytes int // of one part's header that are looked at
	Params      int // of one header field
	Addresses   int // of one address field
}

// DefaultLimits are generous to honest mail.
var DefaultLimits = Limits{Depth: 100, Parts: 1000, HeaderBytes: 256 << 10, Params: 64, Addresses: 2000}

// Part is one entity: a multipart with Children, a message/rfc822 with Message,
// or a leaf. Offsets count bytes from the start of the whole message.
type Part struct {
	HeaderStart int64 `json:"h"`
	BodyStart   int64 `json:"b"`
	BodyEnd     int64 `json:"e"`
	Lines       int64 `json:"l"` // line ends in the body

	Type        string            `json:"t"` // lower case; "text" where none or a broken one was given
	Subtype     string            `json:"s"`
	Params      map[string]string `json:"p,omitempty"` // names in lower case, values undecoded (RFC 2231 pieces apart)
	ID          string            `json:"i,omitempty"`
	Description string            `json:"d,omitempty"`
	Encoding    string            `json:"c,omitempty"` // lower case; "" is 7bit
	Disposition string            `json:"o,omitempty"`
	DispParams  map[string]string `json:"q,omitempty"`
	Language    []string          `json:"g,omitempty"`
	Location    string            `json:"a,omitempty"`

	Children []*Part   `json:"k,omitempty"` // of a multipart; a multipart without any is a leaf
	Message  *Part     `json:"m,omitempty"` // of a message/rfc822: its root
	Envelope *Envelope `json:"v,omitempty"` // on the root of an embedded message

	boundary  string
	startLine int64
}

// Message is the outcome of parsing.
type Message struct {
	Root     *Part
	Envelope Envelope
	Size     int64
	Received int // Received fields: hops that the message has made
	From     int // From fields; one is right
	Sender   int
	Date     int // Date fields
	IDs      int // Message-ID fields

	BareCR, BareLF bool // a CR without LF, or LF without CR, was met
	Defects        bool // a limit was met, or a multipart had no parts
}

// Envelope holds the fields of the header that lists show. Texts are decoded,
// valid UTF-8 and NFC.
type Envelope struct {
	Date       time.Time `json:"date,omitzero"`
	Subject    string    `json:"subject,omitempty"`
	From       []Address `json:"from,omitempty"`
	Sender     []Address `json:"sender,omitempty"`
	ReplyTo    []Address `json:"reply_to,omitempty"`
	To         []Address `json:"to,omitempty"`
	Cc         []Address `json:"cc,omitempty"`
	Bcc        []Address `json:"bcc,omitempty"`
	InReplyTo  []string  `json:"in_reply_to,omitempty"`
	References []string  `json:"references,omitempty"`
	MessageID  string    `json:"message_id,omitempty"` // without angle brackets
}

// Address is one mailbox of an address field. A group's name is an Address
// without Host.
type Address struct {
	Name    string `json:"name,omitempty"`
	Mailbox string `json:"mailbox"`
	Host    string `json:"host,omitempty"`
}

// Addr returns "mailbox@host", or "" for a group.
func (a Address) Addr() string {
	if a.Mailbox == "" || a.Host == "" {
		return ""
	}
	return a.Mailbox + "@" + a.Host
}

// Is tells whether p's media type is the given one, in lower case.
func (p *Part) Is(mediaType string) bool { return p.Type+"/"+p.Subtype == mediaType }

// Filename returns the decoded file name of p, "" where none was given.
func (p *Part) Filename() string {
	if name := DecodeParam(p.DispParams, "filename"); name != "" {
		return name
	}
	return DecodeParam(p.Params, "name")
}

// Charset returns the character set of p in lower case, "" where none was given.
func (p *Part) Charset() string { return strings.ToLower(DecodeParam(p.Params, "charset")) }

// Find returns the part at an IMAP section path ("1.2" is {1, 2}), nil where
// there is none. Numbers go into multiparts and, through messages, into the
// embedded message; 1 of a message that is no multipart is its whole content
// (RFC 9051, section 6.4.5). p is the root of a message.
func (p *Part) Find(path []int) *Part {
	cur := p
	for i, n := range path {
		child := cur
		switch {
		case len(cur.Children) > 0:
			if n < 1 || n > len(cur.Children) {
				return nil
			}
			child = cur.Children[n-1]
		case n != 1:
			return nil
		}
		if i == len(path)-1 {
			return child
		}
		switch {
		case child.Message != nil:
			cur = child.Message
		case len(child.Children) > 0:
			cur = child
		default:
			return nil
		}
	}
	return cur
}

// Walk calls fn for p and every part under it with its IMAP path, in order,
// until fn answers false for one, whose children are then left out.
func (p *Part) Walk(fn func(path []int, part *Part) bool) { p.walk(nil, fn) }

func (p *Part) walk(path []int, fn func([]int, *Part) bool) {
	if len(p.Children) == 0 && len(path) == 0 {
		path = []int{1}
	}
	if !fn(path, p) {
		return
	}
	for i, c := range p.Children {
		c.walk(append(path[:len(path):len(path)], i+1), fn)
	}
	if m := p.Message; m != nil {
		if len(m.Children) == 0 {
			m.walk(append(path[:len(path):len(path)], 1), fn)
			return
		}
		for i, c := range m.Children {
			c.walk(append(path[:len(path):len(path)], i+1), fn)
		}
	}
}
