package meetingpeer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/pion/webrtc/v4"

	lk "commsd/internal/lkproto"
)

// Relay makes a client reach its server through TURN alone, by those servers
// that the join message names.
type Relay struct {
	// Use tells which URLs are used; nil: all.
	Use func(url string) bool
	// TLS is for TURN over TLS.
	TLS *tls.Config
}

// Dial connects to a relay over TLS, in Pion's place, which trusts the
// system's authorities alone.
func (r *Relay) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // Pion gives none
	defer cancel()
	return (&tls.Dialer{Config: r.TLS}).DialContext(ctx, network, address)
}

// useServers has both connections gather by the relays of a join message.
func (m *Media) useServers(servers []*lk.ICEServer) error {
	if m.cfg.Relay == nil {
		return nil
	}
	c := webrtc.Configuration{ICETransportPolicy: webrtc.ICETransportPolicyRelay}
	for _, s := range servers {
		var urls []string
		for _, u := range s.GetUrls() {
			if m.cfg.Relay.Use == nil || m.cfg.Relay.Use(u) {
				urls = append(urls, u)
			}
		}
		if len(urls) > 0 {
			c.ICEServers = append(c.ICEServers, webrtc.ICEServer{URLs: urls, Username: s.GetUsername(), Credential: s.GetCredential()})
		}
	}
	return errors.Join(m.pub.SetConfiguration(c), m.sub.SetConfiguration(c))
}
