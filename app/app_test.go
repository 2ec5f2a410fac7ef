package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"commsd/app/apptest"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

const password = "commsd-demo-only"

func send(t *testing.T, c *http.Client, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func signIn(t *testing.T, n *apptest.Node, login string) *http.Client {
	t.Helper()
	c := n.Client(t)
	body, _ := json.Marshal(map[string]string{"login": login, "password": password})
	if res, text := send(t, c, "POST", n.URL+"/api/v1/sessions", string(body)); res.StatusCode != 201 {
		t.Fatalf("signing %s in: %d %s", login, res.StatusCode, text)
	}
	return c
}

func TestSignInAndOut(t *testing.T) {
	n := apptest.Start(t)
	c := signIn(t, n, "an@noivu.g2g.example")
	if res, text := send(t, c, "GET", n.URL+"/api/v1/directory/people?q=duc", ""); res.StatusCode != 200 || !strings.Contains(text, "Đức") {
		t.Fatalf("searching: %d %s", res.StatusCode, text)
	}
	if res, _ := send(t, c, "DELETE", n.URL+"/api/v1/sessions/current", ""); res.StatusCode != 204 {
		t.Fatalf("signing out: %d", res.StatusCode)
	}
	if res, _ := send(t, c, "GET", n.URL+"/api/v1/sessions/current", ""); res.StatusCode != 401 {
		t.Fatalf("after signing out: %d", res.StatusCode)
	}
}

// TestDemoAccountsSignIn: whoever the sign-in page lists can sign in, under the
// name it lists.
func TestDemoAccountsSignIn(t *testing.T) {
	n := apptest.Start(t)
	_, text := send(t, n.Client(t), "GET", n.URL+"/api/v1/info", "")
	var info struct {
		Demo         bool
		DemoPassword string                                 `json:"demo_password"`
		DemoAccounts []struct{ Login, Name, Agency string } `json:"demo_accounts"`
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil || !info.Demo || info.DemoPassword != password || len(info.DemoAccounts) != 6 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, a := range info.DemoAccounts {
		_, text := send(t, signIn(t, n, a.Login), "GET", n.URL+"/api/v1/sessions/current", "")
		if !strings.Contains(text, a.Name) {
			t.Errorf("%s is listed as %s and signs in as %s", a.Login, a.Name, text)
		}
	}
}

// TestForeignOriginMayNotWrite: a page of another site cannot act with the
// visitor's cookie.
func TestForeignOriginMayNotWrite(t *testing.T) {
	n := apptest.Start(t)
	c := signIn(t, n, "an@noivu.g2g.example")
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		if res, text := send(t, c, "DELETE", n.URL+"/api/v1/sessions/current", "", header...); res.StatusCode != 403 {
			t.Errorf("%v: %d %s", header, res.StatusCode, text)
		}
	}
	if res, _ := send(t, c, "GET", n.URL+"/api/v1/sessions/current", ""); res.StatusCode != 200 {
		t.Fatal("the forged sign-out worked")
	}
}

// TestPagesMoveToThePublicHost: a page opened by address moves to the host the
// cookie is for; a program that calls the API by address is served.
func TestPagesMoveToThePublicHost(t *testing.T) {
	n := apptest.Start(t)
	_, port, _ := net.SplitHostPort(n.Addr("http.listen").String())
	byAddress := "http://127.0.0.1:" + port
	c := n.Client(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, _ := send(t, c, "GET", byAddress+"/meetings?x=1", "", "Accept", "text/html")
	if res.StatusCode != 307 || res.Header.Get("Location") != n.URL+"/meetings?x=1" {
		t.Errorf("a page: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if res, _ := send(t, c, "GET", byAddress+"/api/v1/info", ""); res.StatusCode != 200 {
		t.Errorf("the API: %d", res.StatusCode)
	}
}

func TestAdminListener(t *testing.T) {
	n := apptest.Start(t)
	c := signIn(t, n, "an@noivu.g2g.example")
	admin := "http://" + n.Addr("admin.listen").String()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		res, text := send(t, c, "GET", admin+path, "")
		if res.StatusCode != 200 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		if path == "/metrics" && !strings.Contains(text, "commsd_http_requests_total") {
			t.Error("no request was counted")
		}
		if res, _ := send(t, c, "GET", n.URL+path, ""); res.StatusCode == 200 && strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s is served to the public", path)
		}
	}
}

// TestDataOutlivesARestart: the same folder, another process life.
func TestDataOutlivesARestart(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	first := apptest.StartConfig(t, cfg)
	c := signIn(t, first, "an@noivu.g2g.example")
	cookies := c.Jar.Cookies(mustURL(t, first.URL))
	first.Stop(t)
	second := apptest.StartConfig(t, cfg)
	c.Jar.SetCookies(mustURL(t, second.URL), cookies)
	if res, text := send(t, c, "GET", second.URL+"/api/v1/sessions/current", ""); res.StatusCode != 200 {
		t.Fatalf("the session is gone: %d %s", res.StatusCode, text)
	}
}

// TestMissingKeyFileIsNotMadeAnew: a data folder whose key file has gone is
// refused, and no file is left that could be taken for the right one.
func TestMissingKeyFileIsNotMadeAnew(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	apptest.StartConfig(t, cfg).Stop(t)
	file := filepath.Join(cfg.DataDir, "secret.key")
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := apptest.Refused(t, cfg); err == nil || !strings.Contains(err.Error(), "secret_key_file") || !strings.Contains(err.Error(), "backup") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a wrong key file is left: %v", err)
	}
	if err := os.WriteFile(file, right, 0o600); err != nil {
		t.Fatal(err)
	}
	apptest.StartConfig(t, cfg)
}

// TestOneNodeAFolder: a second node on the same SQLite folder is refused.
func TestOneNodeAFolder(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	apptest.StartConfig(t, cfg)
	err := apptest.Refused(t, cfg)
	if err == nil || !strings.Contains(err.Error(), "data_dir") {
		t.Fatalf("got %v", err)
	}
}

// TestDemoStaysDemo: what the demo filled is not served without --demo, since
// everyone knows its passwords.
func TestDemoStaysDemo(t *testing.T) {
	for name, url := range map[string]func(t *testing.T) string{
		"data_dir":     func(*testing.T) string { return "" },
		"database.url": func(t *testing.T) string { return testengine.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apptest.Config(t.TempDir())
			cfg.Database.URL = url(t)
			apptest.StartConfig(t, cfg).Stop(t)
			cfg.Demo = false
			if err := apptest.Refused(t, cfg); err == nil || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), "--demo") {
				t.Fatalf("got %v", err)
			}
			cfg.Demo = true
			signIn(t, apptest.StartConfig(t, cfg), "an@noivu.g2g.example")
		})
	}
}

func TestGarbageEndsItsOwnConnection(t *testing.T) {
	n := apptest.Start(t)
	// Bytes that are no HTTP end their own connection alone.
	conn, err := net.Dial("tcp", n.Addr("http.listen").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(bytes.Repeat([]byte{0xff, '\n'}, 64<<10)); err != nil {
		t.Logf("the server hung up while we wrote: %v", err)
	}
	if res, _ := send(t, n.Client(t), "GET", n.URL+"/api/v1/info", ""); res.StatusCode != 200 {
		t.Fatal("the server is gone")
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
