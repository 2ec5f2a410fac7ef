package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestForwarded: only what a trusted proxy wrote last is believed.
func TestForwarded(t *testing.T) {
	cfg := Default()
	cfg.HTTP.TrustedProxies = []string{"192.0.2.1", "198.51.100.0/24", "2001:db8::/64"}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"stranger's own word": {"203.0.113.9:1", []string{"10.1.1.1"}, "203.0.113.9:1"},
		"one proxy":           {"192.0.2.1:1", []string{"203.0.113.9"}, "203.0.113.9:0"},
		"forged in front":     {"192.0.2.1:1", []string{"10.1.1.1, 203.0.113.9"}, "203.0.113.9:0"},
		"two proxies":         {"192.0.2.1:1", []string{"203.0.113.9, 198.51.100.7"}, "203.0.113.9:0"},
		"two headers":         {"192.0.2.1:1", []string{"203.0.113.9", "198.51.100.7"}, "203.0.113.9:0"},
		"no header":           {"192.0.2.1:1", nil, "192.0.2.1:1"},
		"garbage":             {"192.0.2.1:1", []string{"<script>"}, "192.0.2.1:1"},
		"garbage in front":    {"192.0.2.1:1", []string{"unknown, 203.0.113.9"}, "203.0.113.9:0"},
		"only proxies":        {"192.0.2.1:1", []string{"198.51.100.7"}, "198.51.100.7:0"},
		"IPv6":                {"[2001:db8::1]:1", []string{"2001:db8:1::5"}, "[2001:db8:1::5]:0"},
		"mapped":              {"[::ffff:192.0.2.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9:0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, v := range c.xff {
				r.Header.Add("X-Forwarded-For", v)
			}
			got := ""
			forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), cfg.proxies()).
				ServeHTTP(httptest.NewRecorder(), r)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
