package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
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
	err = brief(err)
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
	p.transport.keys.Store(&addresses.Keys)
	return found, nil
}

// brief bounds what err says, not what it is: the words of a provider end in
// the log.
func brief(err error) error {
	if err == nil || len(err.Error()) <= maxSaid {
		return err
	}
	return briefError{err}
}

type briefError struct{ err error }

func (b briefError) Error() string { return strings.ToValidUTF8(b.err.Error()[:maxSaid], "") + "…" }
func (b briefError) Unwrap() error { return b.err }

// transport lets requests to the provider's hosts pass and no other, and
// answers up to maxAnswer bytes. It remembers whether the keys could be had,
// since the library tells that no otherwise than a wrong signature.
type transport struct {
	base  *http.Transport
	hosts []string

	keys   atomic.Pointer[string] // address of the keys; nil: not known yet
	failed atomic.Pointer[error]  // why they could not be had the last time; nil: they could, or nobody asked
}

// keysFailure tells why the keys could not be had the last time.
func (t *transport) keysFailure() error {
	if failed := t.failed.Load(); failed != nil {
		return *failed
	}
	return nil
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

		MaxResponseHeaderBytes: maxAnswer,
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
	if keys := t.keys.Load(); keys == nil || r.URL.String() != *keys {
		return res, err
	}
	if err == nil {
		if err = readKeys(res); err != nil {
			res = nil
		}
	}
	t.failed.Store(nil)
	if err != nil {
		err = brief(err)
		t.failed.Store(&err)
	}
	return res, err
}

// readKeys reads an answer that is to hold keys (RFC 7517). How large a key may
// be and of which kind, the library knows.
func readKeys(res *http.Response) error {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return fmt.Errorf("no set of keys: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return nil
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
