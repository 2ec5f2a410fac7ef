package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultsAreValid(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.Demo = true
	if err := cfg.Validate(); err != nil {
		t.Fatalf("as a demo: %v", err)
	}
}

func TestLoadOrder(t *testing.T) {
	file := write(t, "domain: a.example\nhttp:\n  listen: 127.0.0.1:1000\nsession: {max_age: 1h}\n")
	cfg, err := Load(file, []string{"COMMSD_HTTP_LISTEN=127.0.0.1:2000", "COMMSD_MEDIA_ADVERTISE=[203.0.113.7, 203.0.113.8]", "PATH=/bin", "COMMSD_TEST_POSTGRES=x", "COMMSD_SERVICE_HOST=10.0.0.1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Domain != "a.example" || cfg.HTTP.Listen != "127.0.0.1:2000" || cfg.Session.MaxAge.Hours() != 1 || len(cfg.Media.Advertise) != 2 {
		t.Fatalf("got %+v", cfg)
	}
	if cfg.HTTP.PublicURL != Default().HTTP.PublicURL {
		t.Fatal("a key beside the overridden one lost its default")
	}
}

func TestCommentsAloneMeanDefaults(t *testing.T) {
	for _, text := range []string{"# nothing yet\n", "", "---\n", "http:\n  # listen: 127.0.0.1:80\n", "mail:\n"} {
		cfg, err := Load(write(t, text), nil, false)
		if err != nil || cfg.Domain != Default().Domain {
			t.Errorf("%q: %v, %+v", text, err, cfg)
		}
	}
}

// TestBadConfiguration: one line that names the key (or the line) and the cure.
func TestBadConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		env  string
		demo bool
		want []string
	}{
		"unknown key":        {yaml: "domain: a.example\nhttp:\n  lisen: x\n", want: []string{"line 3", "lisen"}},
		"wrong type":         {yaml: "http: 7\n", want: []string{"line 1"}},
		"not yaml":           {yaml: "http: {listen\n", want: []string{"line "}},
		"unknown variable":   {env: "COMMSD_HTTP_LISNET=x", want: []string{"COMMSD_HTTP_LISNET"}},
		"variable type":      {env: "COMMSD_MAIL_MAX_RECIPIENTS=many", want: []string{"COMMSD_MAIL_MAX_RECIPIENTS", "mail.max_recipients"}},
		"bad address":        {yaml: "http: {listen: nonsense}\n", want: []string{"http.listen", "127.0.0.1:8080"}},
		"same port":          {yaml: "http: {listen: '127.0.0.1:8081'}\n", want: []string{"admin.listen", "http.listen"}},
		"bad domain":         {yaml: "domain: not_a_domain\n", want: []string{"domain"}},
		"bad public url":     {yaml: "http: {public_url: 'http://x/y'}\n", want: []string{"http.public_url", "http://x"}},
		"half a certificate": {yaml: "http: {tls: {cert: a.pem}}\n", want: []string{"http.tls", "key"}},
		"bad proxy":          {yaml: "http: {trusted_proxies: [proxy.example]}\n", want: []string{"http.trusted_proxies", "proxy.example"}},
		"acme":               {yaml: "http: {tls: {acme: true}}\n", want: []string{"http.tls.acme"}},
		"turn":               {yaml: "turn: {share_https: true}\n", want: []string{"turn"}},
		"bad database":       {yaml: "database: {url: 'mysql://root:hunter2@x'}\n", want: []string{"database.url", "postgres://"}},
		"bad redis":          {yaml: "redis: {url: 'localhost:6379'}\n", want: []string{"redis.url"}},
		"bad blobs":          {yaml: "blobs: {url: '/var/blobs'}\n", want: []string{"blobs.url"}},
		"bad advertise":      {yaml: "media: {advertise: [host.example]}\n", want: []string{"media.advertise"}},
		"a word for a list":  {yaml: "media: {advertise: 203.0.113.7}\n", want: []string{"line 1", "[203.0.113.7]"}},
		"media by name":      {yaml: "media: {tcp_listen: 'localhost:7881'}\n", want: []string{"media.tcp_listen", "127.0.0.1:7882"}},
		"no media":           {yaml: "media: {udp_listen: '', tcp_listen: ''}\n", want: []string{"media.udp_listen", "media.tcp_listen"}},
		"short api secret":   {yaml: "media: {api_keys: {APIx: hunter2}}\n", want: []string{"media.api_keys", "APIx"}},
		"our own api key":    {yaml: "media: {api_keys: {commsd-meeting: 0123456789abcdef0123456789abcdef}}\n", want: []string{"media.api_keys", "commsd-meeting"}},
		"many entries":       {yaml: "ldap: {max_entries: 200}\n", want: []string{"ldap.max_entries", "199"}},
		"long messages":      {yaml: "chat: {max_text_bytes: 200000}\n", want: []string{"chat.max_text_bytes", "131072"}},
		"bad client host":    {yaml: "mail: {client_imap: mail.example}\n", want: []string{"mail.client_imap", "mail.example:993"}},
		"bad client port":    {yaml: "mail: {client_smtp: 'mail.example:70000'}\n", want: []string{"mail.client_smtp"}},
		"bad smarthost":      {yaml: "mail: {smarthost: relay}\n", want: []string{"mail.smarthost"}},
		"bad factor rule":    {yaml: "sign_in: {require_factor: some}\n", want: []string{"sign_in.require_factor", "admins, all, none"}},
		"provider in clear":  {yaml: "sign_in: {providers: [{id: a, name: A, issuer: 'http://id.example', client_id: c, domains: [a.example]}]}\n", want: []string{"sign_in.providers", "number 1", "issuer"}},
		"provider for none":  {yaml: "sign_in: {providers: [{id: a, name: A, issuer: 'https://id.example', client_id: c}]}\n", want: []string{"sign_in.providers", "domains"}},
		"unknown provider":   {yaml: "sign_in: {provider_secrets: {b: hunter2}}\n", want: []string{"sign_in.provider_secrets", "\"b\""}},
		"provider key":       {yaml: "sign_in:\n  providers:\n    - {id: a, secret: hunter2}\n", want: []string{"line 3", "secret"}},
		"bad level":          {yaml: "log: {level: loud}\n", want: []string{"log.level"}},
		"public demo":        {yaml: "http: {listen: '0.0.0.0:8080'}\n", demo: true, want: []string{"http.listen", "--demo"}},
		"public demo mail":   {yaml: "mail: {smtp_listen: ':2525'}\n", demo: true, want: []string{"mail.smtp_listen", "--demo"}},
		"public demo ldap":   {yaml: "ldap: {listen: '[::]:389'}\n", demo: true, want: []string{"ldap.listen", "--demo"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := ""
			if c.yaml != "" {
				file = write(t, c.yaml)
			}
			_, err := Load(file, []string{c.env}, c.demo)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("more than one line, or a secret: %q", err)
			}
		})
	}
}

func TestDemoLetsMediaOut(t *testing.T) {
	cfg := Default()
	cfg.Demo, cfg.Media.UDPListen = true, "0.0.0.0:7882"
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestKeyErrorNamesItsKey(t *testing.T) {
	cfg := Default()
	cfg.Log.Format = "xml"
	var ke *KeyError
	if err := cfg.Validate(); !errors.As(err, &ke) || ke.Key != "log.format" {
		t.Fatalf("got %v", err)
	}
}

// TestEveryKeyIsDocumented keeps docs/configuration.md whole.
func TestEveryKeyIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys()
	if len(keys) < 20 {
		t.Fatalf("only %d keys found", len(keys))
	}
	for _, key := range keys {
		if !strings.Contains(string(doc), "`"+key+"`") {
			t.Errorf("docs/configuration.md does not explain %s", key)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "commsd.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
