package app

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// parseNetwork reads an address or a network of http.trusted_proxies.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// proxies returns the networks whose X-Forwarded-For is believed. Validate has
// checked them.
func (c *Config) proxies() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range c.HTTP.TrustedProxies {
		if p, err := parseNetwork(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// forwarded gives a request that came through trusted proxies the address of
// the client before the last of them, so that limits and the audit log see who
// really asked. What a client writes into X-Forwarded-For itself stands further
// left and is never reached.
func forwarded(next http.Handler, proxies []netip.Prefix) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := clientBehind(proxies, r); ok {
			r = r.WithContext(r.Context()) // the server's own request is not ours to change
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

func clientBehind(proxies []netip.Prefix, r *http.Request) (netip.Addr, bool) {
	trusted := func(a netip.Addr) bool { return within(proxies, a) }
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !trusted(peer.Addr().Unmap()) {
		return netip.Addr{}, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	var client netip.Addr
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // nothing left of it can be believed
		}
		client = a.Unmap().WithZone("")
		if !trusted(client) {
			break
		}
	}
	return client, client.IsValid()
}
