package doctor_test

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/app/doctor"
	"commsd/internal/tlscert"
)

// files keeps what tlscert makes as the files that http.tls names: certificate
// and key in one.
type files struct{ path string }

func (f files) Get(_ context.Context, _ string, create func() ([]byte, error)) ([]byte, error) {
	text, err := create()
	if err != nil {
		return nil, err
	}
	return text, os.WriteFile(f.path, text, 0o600)
}

func TestRelay(t *testing.T) {
	own := files{filepath.Join(t.TempDir(), "tls.pem")}
	trusted, err := tlscert.Own(t.Context(), own, []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(trusted.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)

	n := apptest.Start(t, func(c *app.Config) {
		c.HTTP.TLS.Cert, c.HTTP.TLS.Key, c.HTTP.PublicURL = own.path, own.path, "https://localhost"
		c.TURN.UDPListen, c.TURN.TLSListen, c.TURN.ShareHTTPS = "127.0.0.1:0", "127.0.0.1:0", true
	})
	cfg := n.Config
	for key, address := range map[string]*string{
		"http.listen": &cfg.HTTP.Listen, "admin.listen": &cfg.Admin.Listen, "turn.udp_listen": &cfg.TURN.UDPListen, "turn.tls_listen": &cfg.TURN.TLSListen,
	} {
		*address = n.Addr(key).String()
	}
	cfg.HTTP.PublicURL = n.URL
	urls := cfg.TURNURLs()
	if len(urls) != 3 {
		t.Fatalf("the addresses are %q", urls)
	}
	found := examine(t, cfg, func(c *doctor.Config) { c.Roots = roots })
	for _, u := range urls {
		want(t, found, "relay "+u, doctor.OK, "relays to media alone")
	}
	found = examine(t, cfg)
	want(t, found, "relay "+urls[0], doctor.OK, "relays to media alone")
	for _, u := range urls[1:] {
		want(t, found, "relay "+u, doctor.Failed, "http.tls")
	}
	wrong := cfg
	wrong.TURN.URLs = []string{"turns:localhost:1?transport=tcp"}
	want(t, examine(t, wrong), "relay "+wrong.TURN.URLs[0], doctor.Failed, "turn.urls")
	none := cfg
	none.TURN = app.Default().TURN
	want(t, examine(t, none), "relay", doctor.Skipped, "docs/network.md")
	n.Stop(t)
	want(t, examine(t, cfg), "relay", doctor.Skipped, "start commsd")
}
