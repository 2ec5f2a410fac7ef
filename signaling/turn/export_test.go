package turn

import "net/netip"

// Sink is a client that keeps what it is sent.
type Sink struct {
	c    *client
	Sent [][]byte
}

// NewSink returns a client at addr.
func NewSink(addr netip.AddrPort) *Sink {
	k := &Sink{}
	k.c = &client{addr: addr, way: k}
	return k
}

func (k *Sink) send(b []byte) { k.Sent = append(k.Sent, append([]byte(nil), b...)) }

func (k *Sink) sendChannel(n uint16, b []byte) {
	k.send(append(appendChannelHeader(nil, n, len(b)), b...))
}

// Handle has s handle a message of k, as one read from a socket.
func (s *Server) Handle(k *Sink, b []byte) { s.handle(k.c, b) }

// FrameLength is how a stream is cut into messages.
func FrameLength(header [4]byte) int { return frameLength(header) }

// MaxMessage is the longest.
const MaxMessage = maxMessage

// SetRunning has s allocate without its Run.
func (s *Server) SetRunning() { s.running = true }
