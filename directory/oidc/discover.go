package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// discover returns the provider's addresses and keys. One request is under way
// at a time, however many people wait, and what it answered is kept for a while,
// a failure for a shorter one.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	for {
		p.mu.Lock()
		now := p.cfg.Now()
		switch {
		case p.found != nil && now.Sub(p.foundAt) < discoverAgain:
			defer p.mu.Unlock()
			return p.found, nil
		case p.failed != nil && now.Sub(p.failedAt) < retryAfter:
			defer p.mu.Unlock()
			if p.found != nil {
				return p.found, nil // its addresses have hardly changed
			}
			return nil, p.failed
		case p.searching == nil:
			p.searching = make(chan struct{})
			p.mu.Unlock()
			return p.search(ctx)
		}
		wait := p.searching
		p.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// search asks the provider, and lets those who wait for it go on.
func (p *Provider) search(ctx context.Context) (*oidc.Provider, error) {
	// Others wait for this answer; the one who asks may leave.
	found, err := p.ask(context.WithoutCancel(ctx))
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.searching)
	p.searching = nil
	if err != nil {
		p.failed, p.failedAt = fmt.Errorf("%w: %w", ErrUnavailable, err), p.cfg.Now()
		p.cfg.Log.WarnContext(ctx, "oidc: a provider cannot be used", "provider", p.cfg.ID, "issuer", p.cfg.Issuer, "err", err)
		if p.found == nil {
			return nil, p.failed
		}
		return p.found, nil
	}
	p.found, p.foundAt, p.failed = found, p.cfg.Now(), nil
	return found, nil
}

func (p *Provider) ask(ctx context.Context) (*oidc.Provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var addresses struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Keys          string `json:"jwks_uri"`
	}
	if err := found.Claims(&addresses); err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	for name, address := range map[string]string{
		"authorization_endpoint": addresses.Authorization, "token_endpoint": addresses.Token, "jwks_uri": addresses.Keys,
	} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || !safe(u) {
			return nil, fmt.Errorf("%s is no https address: %q", name, address)
		}
		// The browser goes to the first one by itself.
		if name != "authorization_endpoint" && !slices.Contains(p.hosts, u.Host) {
			return nil, fmt.Errorf("%s is at %s; if that is the provider's own, name it in hosts", name, u.Host)
		}
	}
	return found, nil
}

// transport lets requests to the provider's hosts pass and no other, and
// answers up to maxAnswer bytes.
type transport struct {
	base  *http.Transport
	hosts []string
}

func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:   timeout,
		ResponseHeaderTimeout: timeout,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   2,
		MaxConnsPerHost:       16,
		ForceAttemptHTTP2:     true,
	}
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !slices.Contains(t.hosts, r.URL.Host) {
		return nil, fmt.Errorf("oidc: %s is not the provider's", r.URL.Host)
	}
	res, err := t.base.RoundTrip(r)
	if err == nil {
		res.Body = &limited{ReadCloser: res.Body, left: maxAnswer}
	}
	return res, err
}

// CloseIdleConnections serves http.Client.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

var errTooLong = errors.New("oidc: the provider's answer is too long")

// limited fails where more than left bytes are read, rather than cut them.
type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLong
	}
	n, err := l.ReadCloser.Read(b[:min(len(b), l.left+1)])
	if l.left -= n; l.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
