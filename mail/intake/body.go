package intake

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// The answers to content that cannot be read to its end.
var (
	errTooLarge = Refuse(552, smtp.EnhancedCode{5, 3, 4}, "the message is larger than this server takes")
	errLongLine = Refuse(554, smtp.EnhancedCode{5, 6, 0}, fmt.Sprintf("a line of the message is longer than %d bytes", MaxLine))
	errCut      = Refuse(451, smtp.EnhancedCode{4, 4, 2}, "the message did not come whole")
	errLost     = Refuse(550, smtp.EnhancedCode{5, 6, 0}, "a line of the message ends in CR CR LF")
)

// Body reads a message's content from go-smtp within the limits, and turns what
// goes wrong on the way into answers.
type Body struct {
	r       io.Reader
	left    int64
	line    int  // bytes of the current line
	cr      bool // the last byte was one
	chunked bool
	lost    bool
}

// NewBody returns a reader of at most limit bytes.
func NewBody(r io.Reader, limit int64) *Body {
	_, chunked := r.(*io.PipeReader) // BDAT counts bytes and looks for no end
	return &Body{r: r, left: limit, chunked: chunked}
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.lost {
		return 0, errLost
	}
	n, err := b.fill(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	for _, c := range p[:n] {
		if b.line++; b.line > MaxLine {
			return 0, errLongLine
		}
		if c == '\n' {
			b.line = 0
		}
	}
	var ready *smtp.SMTPError
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.As(err, &ready):
		return n, err
	case errors.Is(err, smtp.ErrTooLongLine):
		return n, errLongLine
	}
	return n, errCut // the client left, or was too slow
}

// fill reads into p. go-smtp's reader of DATA returns only when it has filled
// what it was given or has found the end, so that it is asked for one byte at a
// time: where it is about to miss the end, it would never return.
func (b *Body) fill(p []byte) (n int, err error) {
	if b.chunked {
		return b.r.Read(p)
	}
	for n < len(p) {
		k, err := b.r.Read(p[n : n+1])
		if k == 1 {
			if p[n] == '\r' && b.cr {
				b.lost = true
				return n, errLost
			}
			b.cr = p[n] == '\r'
			n++
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// HangUp ends the connection where the end of the content cannot be trusted to
// be found, and answers first: after CR CR LF go-smtp v0.25.1 does not see the
// end of the message, so that both sides would wait for each other. It reads
// what is on its way for as long as wait, so that the answer arrives. It tells
// whether it did anything.
func (b *Body) HangUp(c net.Conn, wait time.Duration) bool {
	if !b.lost {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(wait)) // a connection that cannot is broken, and about to be closed
	_, _ = io.Copy(io.Discard, b.r)             // as far as it goes
	code := errLost.EnhancedCode
	_, _ = fmt.Fprintf(c, "%d %d.%d.%d %s\r\n", errLost.Code, code[0], code[1], code[2], errLost.Message) // the client may have gone
	_ = c.Close()                                                                                         // nothing can follow
	return true
}

// HangUpWait is how long HangUp reads on.
const HangUpWait = 2 * time.Second
